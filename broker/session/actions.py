"""What a session core can ask its runner to do. Performed strictly in the order of the list."""

from __future__ import annotations

from msgspec import Struct

from broker.model.approval import ApprovalTerms


class RecordOutput(Struct, frozen=True, gc=False):
    """Keep output in the recording; comes before the `SendClient` of the same bytes."""

    data: bytes
    stderr: bool = False


class RecordInput(Struct, frozen=True, gc=False):
    """Add input that is not kept to the recording's digest (length and SHA-256)."""

    data: bytes


class RecordResize(Struct, frozen=True, gc=False):
    cols: int
    rows: int


class RecordEvent(Struct, frozen=True):
    """Keep a fact beside the cast. `fields` is flat JSON."""

    kind: str
    fields: dict[str, str | int | bool | None]


class RecordMarker(Struct, frozen=True):
    """A place to jump to in the recording."""

    label: str


class Audit(Struct, frozen=True):
    """Note it in the audit trail; if that cannot be written the session ends. `fields` is flat JSON."""

    code: str
    fields: dict[str, str | int | bool | None]


class SendClient(Struct, frozen=True, gc=False):
    data: bytes
    stderr: bool = False


class SendTarget(Struct, frozen=True, gc=False):
    data: bytes


class EofClient(Struct, frozen=True, gc=False):
    pass


class EofTarget(Struct, frozen=True, gc=False):
    pass


class ResizeTarget(Struct, frozen=True, gc=False):
    cols: int
    rows: int
    width: int
    height: int


class SignalTarget(Struct, frozen=True, gc=False):
    name: str


class PauseClient(Struct, frozen=True, gc=False):
    """Take no more input from the user's side for now; False: go on."""

    paused: bool


class BreakTarget(Struct, frozen=True, gc=False):
    msec: int


class SetTimer(Struct, frozen=True, gc=False):
    """Deliver `TimerFired(name)` at session time `at`; replaces a timer of that name."""

    name: str
    at: int


class OpenApproval(Struct, frozen=True):
    """Ask those whom `terms` names for one held line. Answered by `ApprovalOpened`, then `ApprovalSettled`,
    both with the same `number`.

    `line`: the exact text that runs if approved; `screen`: rows of what the user saw, masked.
    """

    number: int
    line: str
    rule: str
    origin: str
    reason: str
    terms: ApprovalTerms
    screen: tuple[str, ...] = ()


class CancelApproval(Struct, frozen=True):
    """The held line is not wanted any more; nothing is answered. `why`: one word for the record."""

    number: int
    why: str


class UseApproval(Struct, frozen=True):
    """The approved line is sent to the target now: the request is used. Comes before its `SendTarget`."""

    number: int


class Close(Struct, frozen=True, gc=False):
    """The session is over: close the target, end the recording, tell the user's side. Always the last action.

    `status`: what the user's side exits with; `signal`: instead of it, where the program died of one.
    `reason`: one word, kept in the store.
    """

    status: int
    reason: str
    signal: str = ""
    core_dumped: bool = False
    message: str = ""


Action = (
    RecordOutput
    | RecordInput
    | RecordResize
    | RecordEvent
    | RecordMarker
    | Audit
    | SendClient
    | SendTarget
    | EofClient
    | EofTarget
    | ResizeTarget
    | SignalTarget
    | BreakTarget
    | PauseClient
    | SetTimer
    | OpenApproval
    | CancelApproval
    | UseApproval
    | Close
)
