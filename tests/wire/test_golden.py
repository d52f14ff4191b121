"""The bytes of each message of version 1, as they have to stay: old clients and brokers read them."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.control.server import ControlServer
from broker.wire import messages as wire
from broker.wire.client import AskFailed, WireClient
from broker.wire.codec import MAX_ANSWER, MAX_FRAME, READ_SIZE, Decoder, WireError, encode
from broker.wire.messages import FromBroker, FromClient, Message, Reply, Request
from tests.unit.services import Services

ACCOUNT = wire.AccountView("deploy", "OK", "", "ops", "p.yaml:3")
TARGET = wire.TargetView("web1", "10.0.0.1", 22, [ACCOUNT], {"env": "prod"}, "front", "shell", 5, 1)
SESSION = wire.SessionView(
    "S-1f", "anne", "web1", "deploy", "exec", "id", "192.0.2.7", "why", 1, 2, "ended", 0, "exit", 9
)

VERIFIED = wire.Verified("S-1f", "altered", False, "line 3", "S-1f.cast", 88, 3, 5, 2, 4, 0, "9f", "SHA256:x")
MESSAGES: dict[str, Message] = {
    "hello": wire.Hello(1, "tui"),
    "welcome": wire.Welcome(1, "anne", ["ops"], False, "0.1", True),
    "list-targets": Request(1, wire.ListTargets("web")),
    "list-sessions": Request(2, wire.ListSessions()),
    "list-recordings": Request(3, wire.ListRecordings("x", 7)),
    "read-recording": Request(4, wire.ReadRecording("S-1f", "events", 9)),
    "verify-recording": Request(7, wire.VerifyRecording("S-1f")),
    "open-target": Request(5, wire.OpenTarget("web1", "deploy", "why")),
    "kill-session": Request(6, wire.KillSession("S-1f", "why")),
    "targets": Reply(1, wire.Targets([TARGET])),
    "sessions": Reply(2, wire.Sessions([SESSION])),
    "chunk": Reply(4, wire.Chunk(b"\x00\xff", 9, 11)),
    "verified": Reply(7, VERIFIED),
    "opening": Reply(5, wire.Opening("web1", "deploy")),
    "done": Reply(6, wire.Done("ok")),
    "failure": wire.Failure(6, "E-DENIED", "no", "ask", 77),
    "attach": wire.Attach("id", "xterm", 80, 24, {"LANG": "C"}),
    "input": wire.Input(b"\xff"),
    "input-end": wire.InputEnd(),
    "window-size": wire.WindowSize(80, 24),
    "output": wire.Output(b"x", True),
    "exit": wire.Exit(3),
}

GOLDEN: dict[str, bytes] = {
    "hello": b"\x83\xa4type\xa5hello\xa7version\x01\xa6client\xa3tui",
    "welcome": (
        b"\x87\xa4type\xa7welcome\xa7version\x01\xa4user\xa4anne\xa6groups\x91\xa3ops\xa5admin\xc2\xa6"
        b"broker\xa30.1\xa6portal\xc3"
    ),
    "list-targets": b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x82\xa4type\xaclist-targets\xa5query\xa3web",
    "list-sessions": b"\x83\xa4type\xa7request\xa2id\x02\xa3ask\x81\xa4type\xadlist-sessions",
    "list-recordings": (
        b"\x83\xa4type\xa7request\xa2id\x03\xa3ask\x83\xa4type\xaflist-recordings\xa5query\xa1x\xa5limit\x07"
    ),
    "read-recording": (
        b"\x83\xa4type\xa7request\xa2id\x04\xa3ask\x84\xa4type\xaeread-recording\xa2id\xa4S-1f\xa4part"
        b"\xa6events\xa6offset\t"
    ),
    "verify-recording": (
        b"\x83\xa4type\xa7request\xa2id\x07\xa3ask\x82\xa4type\xb0verify-recording\xa2id\xa4S-1f"
    ),
    "verified": (
        b"\x83\xa4type\xa5reply\xa2id\x07\xa4body\x8e\xa4type\xa8verified\xa2id\xa4S-1f\xa9condition\xa7al"
        b"tered\xa4good\xc2\xa7problem\xa6line 3\xa4file\xa9S-1f.cast\xa4byteX\xa4line\x03\xa1t\x05\xa5lin"
        b"ks\x02\xa6good_t\x04\xa8unsealed\x00\xa4head\xa29f\xa3key\xa8SHA256:x"
    ),
    "open-target": (
        b"\x83\xa4type\xa7request\xa2id\x05\xa3ask\x84\xa4type\xabopen-target\xa6target\xa4web1\xa7acc"
        b"ount\xa6deploy\xa6reason\xa3why"
    ),
    "kill-session": (
        b"\x83\xa4type\xa7request\xa2id\x06\xa3ask\x83\xa4type\xackill-session\xa2id\xa4S-1f\xa6reason\xa3why"
    ),
    "targets": (
        b"\x83\xa4type\xa5reply\xa2id\x01\xa4body\x82\xa4type\xa7targets\xa5items\x91\x89\xa4name\xa4w"
        b"eb1\xa7address\xa810.0.0.1\xa4port\x16\xa8accounts\x91\x85\xa4name\xa6deploy\xa5state\xa2OK"
        b"\xa3why\xa0\xa4rule\xa3ops\xa6origin\xa8p.yaml:3\xa4tags\x81\xa3env\xa4prod\xa4note\xa5front"
        b"\xa7dialect\xa5shell\xa7last_at\x05\xa4live\x01"
    ),
    "sessions": (
        b"\x83\xa4type\xa5reply\xa2id\x02\xa4body\x82\xa4type\xa8sessions\xa5items\x91\x8e\xa2id\xa4S-"
        b"1f\xa4user\xa4anne\xa6target\xa4web1\xa7account\xa6deploy\xa7channel\xa4exec\xa7command\xa2i"
        b"d\xa6source\xa9192.0.2.7\xa6reason\xa3why\xaastarted_at\x01\xa8ended_at\x02\xa5state\xa5ende"
        b"d\xabexit_status\x00\xaaend_reason\xa4exit\xa4size\t"
    ),
    "chunk": (
        b"\x83\xa4type\xa5reply\xa2id\x04\xa4body\x84\xa4type\xa5chunk\xa4data\xc4\x02\x00\xff\xa6offs"
        b"et\t\xa4size\x0b"
    ),
    "opening": (
        b"\x83\xa4type\xa5reply\xa2id\x05\xa4body\x83\xa4type\xa7opening\xa6target\xa4web1\xa7account"
        b"\xa6deploy"
    ),
    "done": b"\x83\xa4type\xa5reply\xa2id\x06\xa4body\x82\xa4type\xa4done\xa7message\xa2ok",
    "failure": (
        b"\x86\xa4type\xa7failure\xa2id\x06\xa4code\xa8E-DENIED\xa7message\xa2no\xa4hint\xa3ask\xabexi"
        b"t_statusM"
    ),
    "attach": (
        b"\x86\xa4type\xa6attach\xa7command\xa2id\xa4term\xa5xterm\xa4colsP\xa4rows\x18\xa3env\x81\xa4"
        b"LANG\xa1C"
    ),
    "input": b"\x82\xa4type\xa5input\xa4data\xc4\x01\xff",
    "input-end": b"\x81\xa4type\xa9input-end",
    "window-size": b"\x83\xa4type\xabwindow-size\xa4colsP\xa4rows\x18",
    "output": b"\x83\xa4type\xa6output\xa4data\xc4\x01x\xa6stderr\xc3",
    "exit": b"\x82\xa4type\xa4exit\xa6status\x03",
}

CLIENT = {name for name, message in MESSAGES.items() if isinstance(message, get_args(FromClient))}


def decoder(name: str) -> Decoder[Any]:
    return Decoder.from_client() if name in CLIENT else Decoder.from_broker()


# ---------------------------------------------------------------- the bytes


@pytest.mark.parametrize("name", MESSAGES)
def test_golden_bytes(name: str) -> None:
    assert encode(MESSAGES[name]) == GOLDEN[name]
    assert decoder(name).feed(GOLDEN[name]) == [MESSAGES[name]]


def test_every_message_has_golden_bytes() -> None:
    inner: set[type[Message]] = {
        type(message.ask) for message in MESSAGES.values() if isinstance(message, Request)
    }
    inner |= {type(message.body) for message in MESSAGES.values() if isinstance(message, Reply)}
    assert inner == {*get_args(wire.Ask), *get_args(wire.Body)}
    outer = {type(message) for message in MESSAGES.values()}
    assert outer == {*get_args(FromClient), *get_args(FromBroker)}
    assert set(MESSAGES) == set(GOLDEN)


def test_a_change_of_the_bytes_is_a_change_of_the_version() -> None:
    """Whoever changes GOLDEN above has to decide here that old peers are turned away."""
    assert wire.VERSION == 1


def test_unknown_fields_are_ignored_so_that_some_can_be_added() -> None:
    frame = msgpack.packb({"type": "hello", "version": 1, "client": "tui", "colour": [1, {"a": None}]})
    assert Decoder.from_client().feed(frame) == [wire.Hello(1, "tui")]


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize("side", ["client", "broker"])
def test_frames_cut_at_every_byte(side: str) -> None:
    names = [name for name in MESSAGES if (name in CLIENT) is (side == "client")]
    stream = b"".join(GOLDEN[name] for name in names)
    expected = [MESSAGES[name] for name in names]
    assert decoder(names[0]).feed(stream) == expected
    for cut in range(1, len(stream)):
        reading = decoder(names[0])
        assert reading.feed(stream[:cut]) + reading.feed(stream[cut:]) == expected
    reading = decoder(names[0])
    assert [m for n in range(len(stream)) for m in reading.feed(stream[n : n + 1])] == expected


def feed_all(reading: Decoder[Any], data: bytes) -> list[Any]:
    """In the pieces that a socket gives."""
    return [m for at in range(0, len(data), READ_SIZE) for m in reading.feed(data[at : at + READ_SIZE])]


def test_the_largest_frames() -> None:
    """lesson 6: a peer makes the other side hold no more than one frame of the allowed size."""
    whole = wire.Input(bytes(MAX_FRAME - 64))
    assert feed_all(Decoder.from_client(), encode(whole)) == [whole]
    with pytest.raises(WireError):
        feed_all(Decoder.from_client(), encode(wire.Input(bytes(MAX_FRAME + 3 * READ_SIZE))))
    answer = wire.Output(bytes(MAX_ANSWER - 64))
    assert feed_all(Decoder.from_broker(), encode(answer)) == [answer]
    with pytest.raises(WireError):
        feed_all(Decoder.from_broker(), encode(wire.Output(bytes(MAX_ANSWER + 3 * READ_SIZE))))


@pytest.mark.parametrize(
    "start",
    [
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\x91" * 100_000,
        b"\x81\xa1a" * 30_000,
    ],
    ids=["bin", "str", "array", "map", "ext", "nested arrays", "nested maps"],
)
def test_length_and_depth_bombs_are_refused(start: bytes) -> None:
    """lesson 6: a frame that only claims to be huge is refused at once, or at the bound; never believed."""
    reading = Decoder.from_client()
    with pytest.raises(WireError):
        for _ in range((MAX_FRAME + READ_SIZE) // len(start) + 2):
            reading.feed(start)


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "reboot"},
        {"type": "request", "id": 1, "ask": {"type": "reboot"}},
        {"type": "list-targets"},
        {"type": "request", "id": 1, "ask": {"type": "hello", "version": 1, "client": "x"}},
        {"type": "request", "id": "1", "ask": {"type": "list-targets"}},
        {"type": "hello", "version": 1},
        {"type": "hello", "version": True, "client": "x"},
        {"type": "input", "data": [1]},
        {"type": "welcome", "version": 1, "user": "carol", "groups": [], "admin": True},
        {"version": 1, "client": "x"},
        [],
        1,
        None,
        "hello",
        b"hello",
        msgpack.Timestamp(1),
        msgpack.ExtType(5, b"x"),
        {1: 2},
    ],
    ids=repr,
)
def test_what_is_no_message_of_a_client_is_an_error(frame: object) -> None:
    with pytest.raises(WireError):
        Decoder.from_client().feed(msgpack.packb(frame))


def read(reading: Decoder[Any], data: bytes) -> list[Any]:
    """The messages in it; none where it is refused, as it must be by the one error there is for that."""
    try:
        return reading.feed(data)
    except WireError:
        return []


@given(st.binary(max_size=300))
def test_junk_is_an_error_or_nothing(junk: bytes) -> None:
    for reading in (Decoder.from_client(), Decoder.from_broker()):
        assert all(isinstance(message, Message) for message in read(reading, junk))


@given(st.sampled_from(sorted(GOLDEN)), st.randoms(use_true_random=False))
def test_messages_with_bytes_changed_are_other_messages_or_an_error(name: str, source: random.Random) -> None:
    frame = bytearray(GOLDEN[name])
    for _ in range(source.randint(1, 4)):
        frame[source.randrange(len(frame))] = source.randrange(256)
    assert all(isinstance(message, Message) for message in read(decoder(name), bytes(frame)))


_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary()
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=8), inner)),
    max_leaves=10,
)
_tags = st.sampled_from(sorted({"hello", "request", "attach", *MESSAGES}))


@given(_tags, st.dictionaries(st.sampled_from(["id", "ask", "data", "env", "version", "client"]), _values))
def test_fields_of_any_type_are_a_message_or_an_error(tag: str, fields: dict[str, Any]) -> None:
    assert len(read(Decoder.from_client(), msgpack.packb({"type": tag, **fields}))) <= 1


# ---------------------------------------------------------------- the version


@pytest.mark.parametrize("version", [0, 2, -1, 2**40])
async def test_a_client_of_another_version_is_told_and_turned_away(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = Services(tmp_path)

    async def nobody(*_: object) -> None:
        raise AssertionError("nothing attaches here")

    server = ControlServer(services.handlers, services.login, services.trail, nobody, "9.9")
    for spoken, accepted in ((wire.VERSION, True), (version, False)):
        monkeypatch.setattr("broker.wire.client.VERSION", spoken)
        ours, theirs = socket.socketpair()
        task = server.serve_child(theirs, services.authenticated("anne"), None)
        if accepted:
            client = await WireClient.connect(ours, "cli")
            assert client.welcome == wire.Welcome(wire.VERSION, "anne", ["ops"], False, "9.9", False)
            await client.close()
        else:
            with pytest.raises(AskFailed) as told:
                await WireClient.connect(ours, "cli")
            assert told.value.failure.code == "E-VERSION"
            assert str(version) in told.value.failure.hint
            ours.close()
        await task
    await services.recordings.stop()
