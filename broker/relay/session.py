"""One session from its grant to its end: recording first, then the target, then the traffic."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

import structlog

from broker.gate.lines.gate import LineGate, Setup
from broker.gate.lines.piped import PipedGate
from broker.gate.lines.programs import reads_commands
from broker.gate.reading import listens, readers_of
from broker.gate.strict.gate import StrictGate
from broker.gate.strict.readers import refusing_readers
from broker.model import exits
from broker.model.access import Grant
from broker.model.command import Answer
from broker.model.errors import BartizanError, CannotRecord
from broker.model.session import SessionRow
from broker.model.target import Channel, Dialect, Gate, Mode
from broker.ports import HostKeyStore, SecretStore
from broker.relay.client import ClientSide
from broker.relay.holds import HoldDesk
from broker.relay.runner import Runner
from broker.relay.target import dial, start_program
from broker.services.recordings import Picture, RecordingService, SessionRecording
from broker.services.sessions import SessionService
from broker.session.actions import Close
from broker.session.core import SessionCore, Terms
from broker.session.lines import GatedLines, Lines, on_doubt, strictest
from broker.session.notices import Voice
from broker.session.stream import PipedLines
from broker.session.strict import StrictLines

log = structlog.get_logger()

ENV_TO_TARGET = ("LANG", "LANGUAGE", "LC_", "NO_COLOR", "COLORTERM")
SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class SessionDefaults:
    """Bounds where the policy sets none, in seconds; None: no bound."""

    idle_s: int | None
    longest_s: int | None
    keepalive_s: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended, for the one who opened it."""

    session: str
    close: Close
    error: str = ""
    """Why it could not be opened; empty where it ran."""


class Sessions:
    """Runs granted sessions."""

    def __init__(
        self,
        service: SessionService,
        recordings: RecordingService,
        secrets: SecretStore,
        host_keys: HostKeyStore,
        defaults: SessionDefaults,
        desk: HoldDesk | None = None,
    ) -> None:
        self._service = service
        self._recordings = recordings
        self._secrets = secrets
        self._host_keys = host_keys
        self._defaults = defaults
        self._desk = desk

    async def run(self, grant: Grant, client: ClientSide) -> Outcome:
        """The whole session; returns when its recording is closed. The client's channel stays open.

        Raises:
            Unavailable: the store does not answer, so nothing was started.
        """
        row = await self._service.opened(grant)
        close = Close(exits.INTERNAL, "error")
        size, error = 0, ""
        try:
            picture = _picture(client)
            recording = await self._recordings.open(grant, row, picture, client.env)
            _note_command(grant, client, recording)
            try:
                close = await self._relay(grant, row, client, recording, picture)
            except BartizanError as exc:
                close = Close(exc.exit_status, "unavailable")
                recording.event(recording.time(), "failed", {"code": exc.code, "text": exc.message})
                raise
            finally:
                size = await asyncio.shield(self._recordings.close(recording, close.reason, _end(close)))
        except BartizanError as exc:
            if isinstance(exc, CannotRecord):
                close = Close(exc.exit_status, "recording")
            error = f"{exc.code} {exc.message}"
            tell(client, exc.code, exc.message, exc.hint)
        except Exception as exc:
            log.error("session.failed", session=row.id, error=repr(exc), exc_info=exc)
            error = "E-INTERNAL an error in the broker"
            tell(client, "E-INTERNAL", f"an error in the broker ended session {row.id}", "")
        finally:
            ended = self._service.ended(row, status=close.status, reason=close.reason, size=size, error=error)
            await asyncio.shield(ended)
        return Outcome(row.id, close, error)

    async def _relay(
        self,
        grant: Grant,
        row: SessionRow,
        client: ClientSide,
        recording: SessionRecording,
        picture: Picture,
    ) -> Close:
        """From the open recording to the end of the traffic. Raises Unavailable if there never was any."""
        core = SessionCore(self._terms(grant, row, client))
        remarks = self._service.remarks(row, lambda why: runner.kill("audit", "bartizan", why))
        runner = Runner(core, row, client, recording, self._desk, remarks.note)
        self._service.register(runner)
        client.watch_interrupt(lambda: runner.kill("cancelled", row.user, "cancelled while connecting"))
        reaching = asyncio.get_running_loop().create_task(
            self._reach(grant, client, runner, picture), name=f"reach-{row.id}"
        )
        noting = asyncio.get_running_loop().create_task(remarks.run(), name=f"remarks-{row.id}")
        try:
            first: set[asyncio.Future[Any]] = {reaching, runner.ended}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if reaching.done():
                await reaching
            return await runner.ended
        finally:
            reaching.cancel()
            runner.abandon()
            await asyncio.shield(remarks.finish())
            noting.cancel()

    async def _reach(self, grant: Grant, client: ClientSide, runner: Runner, picture: Picture) -> None:
        """Dial, start the program, let the traffic begin. `picture`: as the recording's header has it."""
        credential = await asyncio.to_thread(self._secrets.fetch, grant)
        pins = grant.target.host_keys or tuple(self._host_keys.host_keys(grant.target.name))

        def refused(channel: str) -> None:
            runner.request_refused(channel, "opened by the target")

        conn = await dial(grant, credential, pins, self._defaults.keepalive_s, refused)
        try:
            program = await start_program(
                conn,
                runner,
                command=_command(grant),
                terminal=client.terminal,
                env={k: v for k, v in client.env.items() if _goes_to_target(k)},
            )
        except BaseException:
            conn.close()
            raise
        runner.start(program)
        if client.terminal is not None and _picture(client) != picture:
            runner.resized(client.terminal.window)

    def _terms(self, grant: Grant, row: SessionRow, client: ClientSide) -> Terms:
        limits, defaults = grant.decision.limits, self._defaults
        idle = defaults.idle_s if limits.idle_s is None else limits.idle_s
        longest = defaults.longest_s if limits.max_s is None else limits.max_s
        voice = voice_of(client)
        banner = ""
        if client.terminal is not None and grant.channel is Channel.SHELL:
            strict = ", strict line mode" if grant.target.mode is Mode.LINE else ""
            banner = f"{row.target} as {row.account}, recorded {row.id}{strict}."
        return Terms(
            voice,
            idle * SECOND if idle else None,
            longest * SECOND if longest else None,
            banner,
            self._lines(grant, row, client, voice),
        )

    def _lines(self, grant: Grant, row: SessionRow, client: ClientSide, voice: Voice) -> Lines | None:
        """The line gate of a session, where one is wanted."""
        judge = self._service.line_judge(grant)
        target, terminal = grant.target, client.terminal
        strict = target.mode is Mode.LINE
        wanted = target.gateable and (strict or target.gate is Gate.ON or judge(b"true") is not None)
        if not wanted:
            return None
        command = _command(grant)
        # What a client asks to run is no program of the target's dialect.
        dialect = target.dialect if grant.command is None else Dialect.SHELL
        readers = readers_of(command, dialect)
        rule = strictest(judge, readers)
        if terminal is None:
            reads = command is None or dialect is not Dialect.SHELL or takes_commands(command)
            rule = refusing_readers(rule, target.readers) if strict else rule
            return PipedLines(PipedGate(rule, readers.take, joins=readers.joins()), voice) if reads else None
        setup = Setup(
            cols=terminal.window.cols or 80,
            rows=terminal.window.rows or 24,
            nonce=secrets.token_hex(16),
            tag="_" + secrets.token_hex(4),
            hook=grant.channel is Channel.SHELL and target.start is None and dialect is Dialect.SHELL,
            running=(command or b"").decode("utf-8", "replace"),
            doubt=on_doubt(target.on_doubt, self._service.doubt_judge(grant)),
        )
        if strict and grant.channel is Channel.SHELL:
            return StrictLines(StrictGate(setup, rule, target.readers, readers.take), voice, row.started_at)
        return GatedLines(LineGate(setup, rule, readers.take), voice, row.started_at)


def takes_commands(command: bytes) -> bool:
    """True if a command runs the lines of its input."""
    return reads_commands(command.decode("utf-8", "replace")) or listens(command)


def voice_of(client: ClientSide) -> Voice:
    """How to speak to this client."""
    return Voice(client.terminal is not None, client.utf8)


def tell(client: ClientSide, code: str, message: str, hint: str) -> None:
    """Say to the user why something did not happen: a notice on a terminal, else one line on stderr."""
    voice = voice_of(client)
    text = f"{message}. {hint}" if hint else message
    client.write(voice.say("denied", code, text), stderr=not voice.terminal)


def _note_command(grant: Grant, client: ClientSide, recording: SessionRecording) -> None:
    """Keep what rules say of the command of an exec; where they warn, tell its user before it runs."""
    said = grant.decision.judgement
    if said is None:
        return
    facts = {"verdict": said.verdict.value, "rule": said.rule.name, "origin": said.rule.origin}
    observed = [rule.name for rule in said.observed]
    recording.event(recording.time(), "command", {**facts, "reason": said.reason, "observed": observed})
    if said.verdict is Answer.WARN:
        voice = voice_of(client)
        text = f"{said.reason} (rule {said.rule.name})"
        recording.event(recording.time(), "notice", {"text": f"WARNING {text}"})
        client.write(voice.say("warning", "WARNING", text), stderr=not voice.terminal)


def _picture(client: ClientSide) -> Picture:
    terminal = client.terminal
    if terminal is None:
        return Picture()
    return Picture(terminal.type or "unknown", terminal.window.cols or 80, terminal.window.rows or 24)


def _command(grant: Grant) -> bytes | None:
    """What to ask the target for: the given command, else the target's fixed program, else a login shell."""
    if grant.command is None and grant.target.start is not None:
        return grant.target.start.encode()
    return grant.command


def _goes_to_target(name: str) -> bool:
    return name.startswith(ENV_TO_TARGET) and not name.startswith("LC_BARTIZAN_")


def _end(close: Close) -> dict[str, str | int | None]:
    """The facts of the recording's last event."""
    return {"status": None if close.signal else close.status, "signal": close.signal}
