"""What a live session notes in the audit: in order, without waiting, and never silently lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.unit.rows import row
from tests.unit.services import Services


async def test_remarks_are_noted_in_order_with_the_session(tmp_path: Path) -> None:
    services, failed = Services(tmp_path), []
    remarks = services.sessions.remarks(row(), failed.append)
    task = asyncio.get_running_loop().create_task(remarks.run())
    for number in range(5):
        remarks.note("line.refused", {"text": str(number)})
    await remarks.finish()
    task.cancel()
    assert [event.detail["text"] for event in services.noted()] == list("01234")
    first = services.noted()[0]
    assert (first.code, first.actor, first.subject, first.session) == (
        "line.refused",
        "anne",
        "deploy+web1",
        "S-1",
    )
    assert failed == []


async def test_an_audit_that_cannot_be_written_is_told_each_time(tmp_path: Path) -> None:
    """The session ends by it: nothing runs unaudited."""
    services, failed = Services(tmp_path), []
    services.lose_the_store()
    remarks = services.sessions.remarks(row(), failed.append)
    task = asyncio.get_running_loop().create_task(remarks.run())
    remarks.note("line.refused", {})
    remarks.note("line.refused", {"at": object()})
    await remarks.finish()
    task.cancel()
    assert len(failed) == 2
    assert "the disk is full" in failed[0]
