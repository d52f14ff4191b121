"""The chain: every change to a recording is found and named, and what it does not touch is said to hold."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.cast import Header
from recorder.chain import (
    LONGEST_LINK,
    MOST_LINES,
    ChainError,
    ChainReader,
    ChainWriter,
    SegmentDigest,
    State,
    line_crcs,
)
from recorder.salvage import salvage
from recorder.signing import (
    BadKey,
    KeyRing,
    SignatureError,
    SigningKey,
    read_public_keys,
    signed_line,
    taken_apart,
)
from recorder.verify import Condition, Files, Verdict, verify_recording
from recorder.writer import LiveRecording, open_recording
from tests.signer import KEYS, SIGNER

SECOND = 1_000_000
PARTS = ("cast", "events", "chain")


def opened(folder: Path, id: str = "S-1", signer: SigningKey = SIGNER) -> LiveRecording:
    header = Header(width=80, height=24)
    return open_recording(folder, id, header, {"session": id}, signer=signer, ahead=65536)


def three_seconds(live: LiveRecording, text: str = "line") -> None:
    for second in range(1, 4):
        for number in range(5):
            t = second * SECOND + number * 20_000
            assert live.output(t, f"{text} {second}.{number}\r\n".encode())
        assert live.event(second * SECOND, "line", text=f"echo {second}", verdict="allow")
        live.sync()


def closed(folder: Path, id: str = "S-1", text: str = "line", signer: SigningKey = SIGNER) -> Path:
    """A finished recording of five links; its cast."""
    live = opened(folder, id, signer)
    three_seconds(live, text)
    live.close(4 * SECOND, "exit", status=0)
    return folder / f"{id}.cast"


def checked(cast: Path, keys: KeyRing = KEYS) -> Verdict:
    return verify_recording(Files(cast), keys)


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    """The files of a finished recording."""
    with tempfile.TemporaryDirectory() as name:
        cast = closed(Path(name))
        return {part: cast.with_suffix(f".{part}").read_bytes() for part in PARTS}


def laid_out(folder: Path, files: dict[str, bytes], id: str = "S-1") -> Path:
    for part, content in files.items():
        (folder / f"{id}.{part}").write_bytes(content)
    return folder / f"{id}.cast"


def test_lesson_12_a_signature_made_while_recording_is_verified(tmp_path: Path) -> None:
    """lesson 12: what the recorder writes verifies with the public key alone, from its text form."""
    [public] = read_public_keys(f"# published\n{SIGNER.public.line} bartizan@bastion\n")
    verdict = checked(closed(tmp_path), KeyRing([public]))
    assert (verdict.condition, verdict.problem, verdict.good) == (Condition.COMPLETE, "", True)
    assert (verdict.links, verdict.good_t, verdict.unsealed) == (5, 4 * SECOND, 0)
    assert verdict.key == SIGNER.public.fingerprint
    assert verdict.size == sum((tmp_path / f"S-1.{part}").stat().st_size for part in ("cast", "events"))


def test_the_head_that_close_tells_is_that_of_the_last_link(tmp_path: Path) -> None:
    live = opened(tmp_path)
    three_seconds(live)
    assert live.head.number == 3
    done = live.close(4 * SECOND, "exit")
    assert (done.head.number, done.head.text) == (4, checked(tmp_path / "S-1.cast").head)


def test_a_quiet_second_makes_no_link(tmp_path: Path) -> None:
    live = opened(tmp_path)
    live.sync()
    live.sync()
    assert live.head.number == 0
    live.output(1, b"x")
    live.sync()
    assert live.head.number == 1
    live.close(2, "exit")


# ---------------------------------------------------------------- what is changed is found


@given(st.data())
@settings(max_examples=250, deadline=None)
def test_any_flipped_bit_is_found_and_named(whole: dict[str, bytes], data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(PARTS))
    content = bytearray(whole[part])
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    with tempfile.TemporaryDirectory() as name:
        verdict = checked(laid_out(Path(name), {**whole, part: bytes(content)}))
    assert not verdict.good
    assert verdict.place is not None
    assert verdict.place.file == f"S-1.{part}"
    start = whole[part].rfind(b"\n", 0, at) + 1
    assert verdict.place.byte == start
    assert verdict.place.line == whole[part][:at].count(b"\n") + 1


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_cut_is_found(whole: dict[str, bytes], data: st.DataObject) -> None:
    """One file, or all three of them at once, is shorter than it was."""
    cut = {part: whole[part] for part in PARTS}
    for part in data.draw(st.sets(st.sampled_from(PARTS), min_size=1)):
        cut[part] = whole[part][: data.draw(st.integers(0, len(whole[part]) - 1))]
    with tempfile.TemporaryDirectory() as name:
        verdict = checked(laid_out(Path(name), cut))
    assert not verdict.good
    assert verdict.problem


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_inserted_or_removed_bytes_are_found(whole: dict[str, bytes], data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(PARTS))
    content = whole[part]
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))
    new = data.draw(st.binary(max_size=40).filter(lambda new: new != content[start:end]))
    changed = content[:start] + new + content[end:]
    if changed == content:
        return
    with tempfile.TemporaryDirectory() as name:
        assert not checked(laid_out(Path(name), {**whole, part: changed})).good


def test_the_flipped_line_is_named_with_its_time_and_what_is_good(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    cast = whole["cast"].replace(b"line 2.3", b"line 2.X")
    verdict = checked(laid_out(tmp_path, {**whole, "cast": cast}))
    assert verdict.condition is Condition.ALTERED
    assert verdict.problem == "line 10 of S-1.cast is not what was signed"
    place = verdict.place
    assert place is not None
    assert (place.line, place.t) == (10, 2 * SECOND + 60_000)
    assert (verdict.links, verdict.good_t) == (2, SECOND + 80_000)


def test_removed_and_swapped_lines_are_named(whole: dict[str, bytes], tmp_path: Path) -> None:
    lines = whole["cast"].splitlines(keepends=True)
    removed = checked(laid_out(tmp_path, {**whole, "cast": b"".join(lines[:7] + lines[8:])}))
    assert (removed.condition, removed.place and removed.place.line) == (Condition.ALTERED, 8)
    lines[8], lines[9] = lines[9], lines[8]
    swapped = checked(laid_out(tmp_path, {**whole, "cast": b"".join(lines)}))
    assert (swapped.condition, swapped.place and swapped.place.line) == (Condition.ALTERED, 9)


@pytest.mark.parametrize(
    ("without", "condition"),
    [("cast", Condition.MISSING), ("events", Condition.MISSING), ("chain", Condition.UNSIGNED)],
)
def test_a_missing_file_is_named(
    whole: dict[str, bytes], tmp_path: Path, without: str, condition: Condition
) -> None:
    verdict = checked(laid_out(tmp_path, {part: whole[part] for part in PARTS if part != without}))
    assert (verdict.condition, verdict.good) == (condition, False)
    assert verdict.place is not None
    assert verdict.place.file == f"S-1.{without}"


def test_a_recording_that_is_not_there_is_missing(tmp_path: Path) -> None:
    assert checked(tmp_path / "S-1.cast").condition is Condition.MISSING


def test_bytes_behind_the_end_are_found(whole: dict[str, bytes], tmp_path: Path) -> None:
    verdict = checked(laid_out(tmp_path, {**whole, "events": whole["events"] + b'{"t":9,"kind":"x"}\n'}))
    assert verdict.problem == "19 bytes were added behind the end"
    assert verdict.place is not None
    assert verdict.place.byte == len(whole["events"])


def test_a_chain_that_goes_on_behind_its_end_is_found(whole: dict[str, bytes], tmp_path: Path) -> None:
    """Even with a link that the right key has signed."""
    reader = ChainReader(KEYS, "S-1")
    for line in whole["chain"].splitlines(keepends=True):
        reader.line(line)
    more = ChainWriter(SIGNER, after=reader.head).link(5 * SECOND, None, None)
    verdict = checked(laid_out(tmp_path, {**whole, "chain": whole["chain"] + more}))
    assert verdict.problem == "link 5 of the chain does not hold: a link stands behind the last one"
    assert verdict.links == 5


def test_another_recording_in_its_place_is_found(tmp_path: Path) -> None:
    """Replaced as a whole: well signed, but another's."""
    closed(tmp_path, "S-1")
    closed(tmp_path, "S-2", "harmless")
    for part in PARTS:
        shutil.copy(tmp_path / f"S-2.{part}", tmp_path / f"S-1.{part}")
    verdict = checked(tmp_path / "S-1.cast")
    assert verdict.condition is Condition.ALTERED
    assert "is that of the recording 'S-2'" in verdict.problem


@pytest.mark.parametrize("part", PARTS)
def test_one_file_of_another_recording_is_found(tmp_path: Path, part: str) -> None:
    closed(tmp_path, "S-1")
    closed(tmp_path, "S-2", "harmless")
    shutil.copy(tmp_path / f"S-2.{part}", tmp_path / f"S-1.{part}")
    verdict = checked(tmp_path / "S-1.cast")
    assert not verdict.good
    assert verdict.place is not None
    assert verdict.place.file == f"S-1.{part}"


def test_a_recording_signed_by_a_stranger_is_found(tmp_path: Path) -> None:
    stranger = SigningKey.generate()
    verdict = checked(closed(tmp_path, signer=stranger))
    assert verdict.condition is Condition.ALTERED
    assert f"signed by a key that is not known here ('{stranger.key}')" in verdict.problem


def test_a_stranger_who_names_a_known_key_is_found(tmp_path: Path) -> None:
    class Impostor(SigningKey):
        @property
        def key(self) -> str:
            return SIGNER.key

        @key.setter
        def key(self, value: str) -> None:
            """Nothing is kept."""

    verdict = checked(closed(tmp_path, signer=Impostor.generate()))
    assert "the signature does not fit" in verdict.problem


@pytest.mark.parametrize("order", [[0, 2, 3, 4], [1, 2, 3, 4], [0, 1, 1, 2, 3, 4], [0, 2, 1, 3, 4]])
def test_links_that_are_missing_doubled_or_swapped_are_found(
    whole: dict[str, bytes], tmp_path: Path, order: list[int]
) -> None:
    links = whole["chain"].splitlines(keepends=True)
    first = next(place for place, link in enumerate(order) if place != link)
    verdict = checked(laid_out(tmp_path, {**whole, "chain": b"".join(links[n] for n in order)}))
    assert verdict.condition is Condition.ALTERED
    assert f"link {first} of the chain does not hold" in verdict.problem
    assert verdict.links == first


# ---------------------------------------------------------------- live, cut off, interrupted


def test_a_live_recording_holds_up_to_its_last_link(tmp_path: Path) -> None:
    live = opened(tmp_path)
    three_seconds(live)
    live.output(4 * SECOND, b"not signed yet\r\n")
    live.flush()
    verdict = checked(tmp_path / "S-1.cast")
    assert (verdict.condition, verdict.good) == (Condition.LIVE, True)
    assert (verdict.links, verdict.unsealed > 20) == (4, True)
    live.close(5 * SECOND, "exit")
    assert checked(tmp_path / "S-1.cast").condition is Condition.COMPLETE


def test_a_recording_without_its_end_is_truncated_until_it_is_salvaged(tmp_path: Path) -> None:
    """What a killed recorder leaves holds up to its last link; salvage signs the rest and says when."""
    live = opened(tmp_path)
    three_seconds(live)
    live.output(4 * SECOND, b"after the last link\r\n")
    live.flush()
    left = {part: (tmp_path / f"S-1.{part}").read_bytes() for part in PARTS}
    folder = tmp_path / "copy"
    folder.mkdir()
    cast = laid_out(folder, {**left, "cast": left["cast"].rstrip(b"\0") + b'[4.1, "o", "to'})
    verdict = checked(cast)
    assert (verdict.condition, verdict.good, verdict.links) == (Condition.TRUNCATED, False, 4)
    assert "there is no end" in verdict.problem
    [found] = salvage(folder, SIGNER)
    assert found.head is not None
    verdict = checked(cast)
    assert (verdict.condition, verdict.good, verdict.links) == (Condition.INTERRUPTED, True, 5)
    assert (verdict.head, verdict.unsealed) == (found.head.text, found.unsealed)
    assert found.unsealed > len(b"after the last link")
    assert salvage(folder, SIGNER) == []
    live.close(5 * SECOND, "exit")


def test_an_end_that_was_written_but_not_signed_is_signed_by_salvage(tmp_path: Path) -> None:
    cast = closed(tmp_path)
    chain = cast.with_suffix(".chain")
    chain.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[:-1]))
    assert checked(cast).condition is Condition.TRUNCATED
    [found] = salvage(tmp_path, SIGNER)
    assert found.unsealed > 0
    assert checked(cast).condition is Condition.INTERRUPTED
    assert cast.with_suffix(".events").read_bytes().count(b'"kind":"end"') == 1


def test_salvage_does_not_make_a_tampered_chain_good(tmp_path: Path) -> None:
    live = opened(tmp_path)
    three_seconds(live)
    live.sync()
    os.close(os.dup(live._cast.fd))
    live.close(4 * SECOND, "exit")
    cast, chain = tmp_path / "S-1.cast", tmp_path / "S-1.chain"
    lines = chain.read_bytes().splitlines(keepends=True)
    chain.write_bytes(b"".join([*lines[:2], lines[2].replace(b'"n":2', b'"n":7'), lines[3]]))
    salvage(tmp_path, SIGNER)
    verdict = checked(cast)
    assert (verdict.condition, verdict.links) == (Condition.ALTERED, 2)


def test_a_recorder_that_goes_on_with_a_new_key_says_so(tmp_path: Path) -> None:
    """The key was rotated between the crash and the next start."""
    cast = closed(tmp_path)
    chain = cast.with_suffix(".chain")
    chain.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[:-1]))
    newer = SigningKey.generate()
    salvage(tmp_path, newer)
    assert not checked(cast).good
    verdict = checked(cast, KeyRing([SIGNER.public, newer.public]))
    assert (verdict.condition, verdict.key) == (Condition.INTERRUPTED, newer.key)


# ---------------------------------------------------------------- bounds


def test_a_link_is_bounded_however_many_lines_a_second_has(tmp_path: Path) -> None:
    live = opened(tmp_path)
    for number in range(3 * MOST_LINES):
        while not live.event(number, "line", text="x" * 10):
            live.flush()
    live.output(1, b"".join(b"%d\r\n" % number for number in range(10_000)))
    live.sync()
    live.close(2, "exit")
    cast = tmp_path / "S-1.cast"
    assert max(map(len, cast.with_suffix(".chain").read_bytes().splitlines())) < LONGEST_LINK
    assert checked(cast).good
    events = cast.with_suffix(".events")
    content = bytearray(events.read_bytes())
    content[-200] ^= 1
    events.write_bytes(bytes(content))
    verdict = checked(cast)
    assert not verdict.good
    assert verdict.place is not None
    assert verdict.place.file == "S-1.events"


@given(st.lists(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"") + b"\n")), max_size=6))
@settings(max_examples=60)
def test_a_segment_does_not_depend_on_how_it_was_written(batches: list[list[bytes]]) -> None:
    digest, whole = SegmentDigest(7), SegmentDigest(7)
    for batch in batches:
        digest.add(b"".join(batch))
    lines = [line for batch in batches for line in batch]
    whole.add(b"".join(lines))
    segment = digest.taken()
    assert segment == whole.taken()
    if segment is not None:
        assert (segment.to, segment.lines) == (7 + sum(map(len, lines)), len(lines))
        assert segment.crc == b"".join(line_crcs(line, 1) for line in lines)
        assert digest.taken() is None


# ---------------------------------------------------------------- keys and signed lines


def test_a_signed_line_is_json_and_comes_apart_again() -> None:
    line = signed_line(b'{"a":1}', b"context", SIGNER)
    assert json.loads(line).keys() == {"a", "sig"}
    body, signature = taken_apart(line)
    assert body == b'{"a":1}'
    KEYS.check(SIGNER.key, signature, b"context\n" + body)
    with pytest.raises(SignatureError, match="does not fit"):
        KEYS.check(SIGNER.key, signature, b"another\n" + body)


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b'{"a":1}\n', b'{"a":1,"sig":"AAAA"}\n', b'{"a":1,"sig":"!"}\n', b'{"a":1,"sig":"AA=="}'],
)
def test_a_line_that_is_none_of_ours_is_refused(line: bytes) -> None:
    with pytest.raises(SignatureError):
        taken_apart(line)
    with pytest.raises(ChainError):
        ChainReader(KEYS, "S-1").line(line)


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_nonsense_in_a_chain_raises_nothing_else(noise: bytes) -> None:
    with pytest.raises(ChainError):
        ChainReader(KEYS, "S-1").line(noise)
    well_signed = signed_line(b"{" + noise.replace(b"\n", b"") + b"}", b"bartizan recording link 1", SIGNER)
    with pytest.raises(ChainError):
        ChainReader(KEYS, "S-1").line(well_signed)


def test_a_key_is_read_as_it_was_written_and_tells_nothing_of_itself() -> None:
    text = SIGNER.written()
    again = SigningKey.read(text)
    assert again.public == SIGNER.public
    secret = text.split(b"\n")[1].decode()
    assert secret not in repr(again)
    for bad in (b"", b"x", text[:60], SIGNER.public.line.encode()):
        with pytest.raises(BadKey) as caught:
            SigningKey.read(bad)
        assert secret[:8] not in str(caught.value)


@pytest.mark.parametrize("text", ["x", "ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7"])
def test_a_text_that_is_no_public_key_is_refused_by_line(text: str) -> None:
    with pytest.raises(BadKey, match="line 2: "):
        list(read_public_keys(f"# keys\n{text}\n"))


def test_the_fingerprint_is_that_of_openssh(tmp_path: Path) -> None:
    import subprocess

    path = tmp_path / "key.pub"
    path.write_text(SIGNER.public.line + "\n")
    printed = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True).stdout
    assert printed.split()[1] == SIGNER.public.fingerprint


def test_a_link_without_news_has_no_segments() -> None:
    writer = ChainWriter(SIGNER, "S-1")
    digest = SegmentDigest()
    digest.add(b"x\n")
    first = writer.link(0, digest.taken(), None)
    last = writer.link(1, None, None, State.END)
    assert b"cast" in first
    assert msgspec.json.decode(last).keys() == {"n", "t", "prev", "state", "sig"}
