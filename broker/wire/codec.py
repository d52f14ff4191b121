"""Frames: a stream of msgpack maps, each decoded into one typed message. Bounded: a peer cannot make the
other side buffer more than `MAX_FRAME` bytes, the broker not more than `MAX_ANSWER`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgpack
import msgspec

from broker.wire.messages import FromBroker, FromClient
from broker.wire.tagged import Message

MAX_FRAME = 1 << 20
MAX_ANSWER = 16 << 20
"""Of the broker: a list of some 50,000 targets."""
READ_SIZE = 1 << 16

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()


class WireError(Exception):
    """The peer sent what is no message of this protocol; the connection is to be closed."""


def encode(message: Message) -> bytes:
    """One frame."""
    return _encoder.encode(message)


class Decoder(Generic[T]):
    """Incremental decoder of one direction; made by `from_client` and `from_broker`."""

    def __init__(self, kind: Any, largest: int) -> None:
        self._kind = kind
        self._unpacker = msgpack.Unpacker(max_buffer_size=largest + READ_SIZE)

    @staticmethod
    def from_client() -> Decoder[FromClient]:
        return Decoder(FromClient, MAX_FRAME)

    @staticmethod
    def from_broker() -> Decoder[FromBroker]:
        return Decoder(FromBroker, MAX_ANSWER)

    def feed(self, data: bytes) -> list[T]:
        """The messages completed by `data`.

        Raises:
            WireError: the bytes are not msgpack, too large, or of no known message.
        """
        try:
            self._unpacker.feed(data)
            return [msgspec.convert(frame, self._kind) for frame in self._unpacker]
        except (msgpack.UnpackException, msgspec.ValidationError, ValueError) as exc:
            raise WireError(str(exc) or type(exc).__name__) from None
