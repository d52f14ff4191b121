"""Session channels whose `write` seals a packet in one step where asyncssh's goes through a send buffer."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, AnyStr, Generic

from asyncssh import SSHClientChannel, SSHServerChannel

if TYPE_CHECKING:
    from asyncssh.channel import SSHChannel
else:

    class SSHChannel(Generic[AnyStr]):
        """As asyncssh's class of this name in layout: else a live channel could not change its class."""


MSG_CHANNEL_DATA = 94  # RFC 4254, 5.2

_DATA_HEAD = struct.Struct(">BII")  # type, recipient's channel number, length of the data


class _FastChannel(SSHChannel[Any]):
    """The send side. Only connections of this package make these, so `_conn` is one of them."""

    def write(self, data: Any, datatype: int | None = None) -> None:
        """As asyncssh; plain bytes that fit the window and one packet take the short way."""
        if datatype is None and type(data) is bytes and self._fits(len(data)):
            conn: Any = self._conn
            cipher = conn.fast_sealer()
            if cipher is not None:
                self._send_window -= len(data)
                conn.send_sealed(cipher, _DATA_HEAD.pack(MSG_CHANNEL_DATA, self._send_chan, len(data)), data)
                return
        super().write(data, datatype)

    def _fits(self, size: int) -> bool:
        """Whether `size` bytes may go out now, ahead of nothing, as one packet."""
        return (
            0 < size <= self._send_window
            and size <= self._send_pktsize
            and not self._send_buf
            and self._send_state == "open"
            and not self._encoding
            and self._conn is not None
        )

    def log_sent_packet(self, pkttype: int, pktid: int | None, packet: Any, note: str = "") -> None:
        """Describe a packet only where someone reads it."""
        if self._logger._debug_level >= 3:
            super().log_sent_packet(pkttype, pktid, packet, note)

    def log_received_packet(self, pkttype: int, pktid: int | None, packet: Any, note: str = "") -> None:
        """Describe a packet only where someone reads it."""
        if self._logger._debug_level >= 3:
            super().log_received_packet(pkttype, pktid, packet, note)


class FastServerChannel(_FastChannel, SSHServerChannel[Any]):
    """A session channel on the user's side."""


class FastClientChannel(_FastChannel, SSHClientChannel[Any]):
    """A session channel on the target's side."""


FAST_CHANNELS: dict[type, type[FastServerChannel] | type[FastClientChannel]] = {
    SSHServerChannel: FastServerChannel,
    SSHClientChannel: FastClientChannel,
}
