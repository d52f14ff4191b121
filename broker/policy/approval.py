"""How policies write down who has to agree: `approvals`, `approval` and `break_glass`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BeforeValidator, Discriminator, Field, StrictBool, Tag, model_validator

from broker.config.units import Count, Name, Regex, filled, one_or_more
from broker.config.validate import Section
from broker.model.approval import ApprovalTerms, ClockStart, Panel
from broker.model.target import Target
from broker.policy.scope import Names, Seconds, Who

OWNER_TAG = "owner"
"""The tag of a target that names the user or the group it belongs to."""

Members = tuple[frozenset[str], frozenset[str]]
"""Users and groups."""
NOBODY: Members = (frozenset(), frozenset())


class Roster(Protocol):
    """Who is on call."""

    @property
    def names(self) -> frozenset[str]:
        """The lists there are."""

    def __call__(self, name: str) -> Members:
        """Who is on this list now; `NOBODY` if it does not exist."""


@dataclass(frozen=True, slots=True)
class FixedRoster:
    """Lists that do not change."""

    lists: Mapping[str, Members]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.lists)

    def __call__(self, name: str) -> Members:
        return self.lists.get(name, NOBODY)


NOBODY_ON_CALL = FixedRoster({})


def _one_or_more_panels(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


_LIST = BeforeValidator(one_or_more)
_FILLED = BeforeValidator(filled)
ListNames = Annotated[tuple[Name, ...], _LIST, _FILLED]


class PanelEntry(Section):
    """People of whom `needed` have to agree; at least one entry names some."""

    users: Names | None = None
    groups: Names | None = None
    on_call: ListNames | None = None
    owner: StrictBool | None = None
    needed: Count | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set - {"needed"}:
            raise ValueError("names nobody: give users, groups, on_call, or owner: true")
        if self.owner is False:
            raise ValueError("owner can only be true: leave the key out")
        return self

    def panel(self, needed: int) -> Panel:
        return Panel(
            needed=self.needed or needed,
            users=frozenset(self.users or ()),
            groups=frozenset(self.groups or ()),
            owner=bool(self.owner),
            on_call=frozenset(self.on_call or ()),
        )


PanelEntries = Annotated[tuple[PanelEntry, ...], BeforeValidator(_one_or_more_panels), _FILLED]


class _From(Section):
    """Who decides: one panel, or several that all have to agree."""

    from_: PanelEntries = Field(alias="from")
    needed: Count | None = None
    within: Seconds | None = None
    notify: ListNames | None = None

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.needed and (len(self.from_) > 1 or self.from_[0].needed):
            raise ValueError("needed stands beside one panel: write it into each entry of from instead")
        for panel in self.panels():
            if _only_users(panel) and len(panel.users) < panel.needed:
                raise ValueError(f"needs {panel.needed} of {len(panel.users)} people, so it never agrees")
        return self

    def panels(self) -> tuple[Panel, ...]:
        return tuple(entry.panel(self.needed or 1) for entry in self.from_)


class Mfa(Section):
    """Who decides has shown a second factor no longer ago than this."""

    max_age: Seconds


class TermsEntry(_From):
    """Who has to agree, and under which conditions."""

    lasts: Seconds | None = None
    starts: ClockStart | None = None
    reason: Literal["required"] | None = None
    ticket: Regex | None = None
    mfa: Mfa | None = None

    @model_validator(mode="after")
    def _meaningful(self) -> Self:
        if self.starts and not self.lasts:
            raise ValueError("starts says when the time of lasts begins, and there is no lasts")
        return self

    def terms(self) -> ApprovalTerms:
        return ApprovalTerms(
            panels=self.panels(),
            within_s=self.within,
            lasts_s=self.lasts,
            starts=self.starts or ClockStart.APPROVAL,
            reason=self.reason is not None or self.ticket is not None,
            ticket=self.ticket,
            mfa_age_s=self.mfa.max_age if self.mfa else None,
            notify=self.notify or (),
        )


def _form(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<mapping>"


TermsRef = Annotated[
    Annotated[Name, Tag("<text>")] | Annotated[TermsEntry, Tag("<mapping>")], Discriminator(_form)
]
"""The name of terms under `approvals`, or terms written out."""


class ApprovalEntry(Section):
    """`open`: who agrees before a session is opened. `lines`: who decides on lines that are held."""

    open: TermsRef | None = None
    lines: TermsRef | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("asks for nothing: give open or lines")
        return self


class ReviewEntry(_From):
    """Who looks at it afterwards, and within which time."""

    within: Seconds


class BreakGlassEntry(Section):
    """Who may open a session without the approval, loudly, to be reviewed afterwards."""

    users: Names | None = None
    groups: Names | None = None
    lasts: Seconds | None = None
    review: ReviewEntry

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.users is None and self.groups is None:
            raise ValueError("names nobody: give users or groups")
        return self

    def terms(self) -> ApprovalTerms:
        """A reason is always asked for."""
        return ApprovalTerms(
            panels=self.review.panels(),
            within_s=self.review.within,
            lasts_s=self.lasts,
            reason=True,
            notify=self.review.notify or (),
        )


def stranded(terms: ApprovalTerms, who: Who) -> Iterator[str]:
    """Those named in `who` for whom nobody is left who could decide: no one decides about himself."""
    for name in (*(who.users or ()), *(who.agents or ())):
        if any(_only_users(panel) and not panel.leaves(name) for panel in terms.panels):
            yield name


def _only_users(panel: Panel) -> bool:
    """True if all who could decide are known from the policy."""
    return not panel.groups and not panel.owner and not panel.on_call


def in_force(terms: ApprovalTerms, target: Target, on_call: Roster) -> ApprovalTerms:
    """The same with the owner of this target and those who are on call now."""
    return replace(terms, panels=tuple(_seated(panel, target, on_call) for panel in terms.panels))


def _seated(panel: Panel, target: Target, on_call: Roster) -> Panel:
    users, groups = set(panel.users), set(panel.groups)
    for name in panel.on_call:
        more_users, more_groups = on_call(name)
        users |= more_users
        groups |= more_groups
    owned_by = target.tags.get(OWNER_TAG, "") if panel.owner else ""
    return replace(panel, users=frozenset(users), groups=frozenset(groups), owned_by=owned_by)
