"""Who is on call: a file of its own, read again whenever it has changed, since duty changes more often than
policies do.

    on_call:
      dba: {users: [carol]}
      sre: {groups: [sre-week-48]}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import structlog
from pydantic import BeforeValidator

from broker.config.document import Problems, read_document
from broker.config.units import Name, one_or_more
from broker.config.validate import Section, validated
from broker.model.errors import InvalidConfig
from broker.policy.approval import NOBODY, Members
from broker.policy.scope import Person

log = structlog.get_logger()

People = Annotated[tuple[Person, ...], BeforeValidator(one_or_more)]


class DutyEntry(Section):
    """Who is on call for one list; nobody is a possible answer."""

    users: People = ()
    groups: People = ()

    @property
    def members(self) -> Members:
        return frozenset(self.users), frozenset(self.groups)


class DutyFile(Section):
    """The file as written."""

    on_call: dict[Name, DutyEntry]


def read_duty(path: Path) -> dict[str, Members]:
    """The lists by name; none if there is no such file. Raises InvalidConfig that tells every problem."""
    if not path.exists():
        return {}
    problems = Problems()
    document = read_document(path, problems)
    file = validated(document, DutyFile, problems) if document is not None else None
    problems.refuse_if_any()
    assert file is not None, "a problem would have been told"
    return {name: duty.members for name, duty in file.on_call.items()}


class DutyRoster:
    """`Roster` of a file. While the file cannot be read nobody is (lesson 29), and it is logged."""

    def __init__(self, path: Path, *, required: bool = False) -> None:
        """Raises InvalidConfig if the file is there and cannot be used, or is `required` and not there."""
        if required and not path.exists():
            raise InvalidConfig("no such file", where=str(path))
        self._path = path
        self._version = _version(path)
        self._lists = read_duty(path)

    @property
    def names(self) -> frozenset[str]:
        """The lists there are."""
        self._refresh()
        return frozenset(self._lists)

    def __call__(self, name: str) -> Members:
        self._refresh()
        return self._lists.get(name, NOBODY)

    def _refresh(self) -> None:
        version = _version(self._path)
        if version == self._version:
            return
        lists: dict[str, Members] = {}
        try:
            lists = read_duty(self._path)
        except InvalidConfig as error:
            log.error("on-call.refused", error=error.message)
        self._lists, self._version = lists, version


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
