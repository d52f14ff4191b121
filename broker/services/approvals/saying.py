"""What is said to a request, checked before it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.model.names import MAX_TEXT, is_printable
from broker.model.requests import ApprovalRequest, Vote
from broker.services.approvals import deciding
from broker.services.approvals.refusing import refused, usage


@dataclass(frozen=True, slots=True)
class Decided:
    """What somebody says to a request. `digest`: of what he was shown; `for_s`: 0 is as asked."""

    approve: bool
    digest: str
    comment: str = ""
    confirm: str = ""
    for_s: int = 0


def lasts_s(request: ApprovalRequest, votes: Sequence[Vote]) -> int:
    """The shortest of what was asked for and what those who approved gave."""
    given = [vote.for_s for vote in votes if vote.approve and vote.withdrawn_at is None and vote.for_s]
    return min([request.matter.lasts_s or 0, *given]) if request.matter.lasts_s else 0


def checked_comment(text: str, *, required: bool) -> str:
    """The text itself. Raises RequestRefused: too long, not printable, or missing (lesson 20)."""
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise usage(f"the text has {len(text)} characters; at most {MAX_TEXT} are kept")
    if not is_printable(text):
        raise usage("the text holds control or invisible characters")
    if required and not any(char.isalnum() for char in text):
        raise usage("say why: a comment is needed", "-m TEXT")
    return text


def check_shown(request: ApprovalRequest, said: Decided) -> None:
    """That the decision is about what was shown (lesson 34), and meant."""
    if said.digest != request.matter.digest:
        raise refused(
            f"{request.id} is not what was shown; look again", f"bartizan requests show {request.id}"
        )
    word = deciding.confirmation(request)
    if said.approve and word and said.confirm != word:
        raise usage(f"the risk is HIGH: the target's name has to be given ({word})", f"--confirm {word}")
    if said.for_s < 0 or (said.for_s and request.matter.lasts_s is None):
        raise usage(f"{request.id} is used once: there is no time to shorten")
