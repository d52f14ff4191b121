"""The chain of one open recording: what was written is hashed at once, and signed once it is on the disk."""

from __future__ import annotations

from recorder.chain import LONGEST_LINK, ChainWriter, Head, SegmentDigest, State
from recorder.signing import Signer
from recorder.writer.space import HeldFile

AHEAD = 8 * LONGEST_LINK
"""Disk space held for the chain; the last link may use all of it."""


class Sealing:
    """Used by one thread at a time. A link is made after its bytes were synced: power that fails in between
    must not leave a link about bytes that are gone."""

    def __init__(self, file: HeldFile, id: str, signer: Signer) -> None:
        self._file = file
        self._writer = ChainWriter(signer, id)
        self._cast, self._events = SegmentDigest(), SegmentDigest()

    @property
    def head(self) -> Head:
        """The newest link."""
        return self._writer.head

    @property
    def size(self) -> int:
        """Bytes of the chain."""
        return self._file.written

    def cast_written(self, data: bytes) -> None:
        """Bytes were appended to the cast."""
        self._cast.add(data)

    def events_written(self, data: bytes) -> None:
        """Bytes were appended to the event stream."""
        self._events.add(data)

    def link(self, t: int) -> None:
        """Sign what was written since the link before, if anything was. Raises OSError."""
        if self._cast.empty and self._events.empty:
            return
        self._file.extend(2 * LONGEST_LINK)
        self._append(t, State.OPEN)

    def finish(self, t: int) -> None:
        """The last link, for which space is held. Raises OSError."""
        self._append(t, State.END)

    def _append(self, t: int, state: State) -> None:
        self._file.write(self._writer.link(t, self._cast.taken(), self._events.taken(), state))
        self._file.sync()

    def close(self) -> None:
        """Release the file."""
        self._file.close()
