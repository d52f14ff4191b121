"""The composition root: configuration → adapters → services → servers. The only place that names adapters."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import asyncssh
import structlog

from broker.adapters.anchors import anchor_place
from broker.adapters.clock import SystemClock
from broker.adapters.master_key import MasterKeyRing, source_of
from broker.adapters.notifiers import notifier
from broker.adapters.signing_key import make_signing_key, read_signing_key
from broker.adapters.sqlite import SqliteStore
from broker.adapters.vault import Vault
from broker.config import Config, load_config, load_targets
from broker.control.handlers import Handlers
from broker.control.requests import RequestHandlers
from broker.control.server import ControlServer
from broker.gate.rules import judge_line
from broker.model.access import Grant
from broker.model.audit import AuditEvent
from broker.model.errors import InvalidConfig, Unavailable
from broker.model.identity import Authenticated
from broker.model.notification import NoticeEvent
from broker.model.secret import Credential, Secret
from broker.policy.engine import Engine
from broker.policy.loader import load_policies
from broker.policy.oncall import DutyRoster
from broker.ports import Clock
from broker.relay.admission import Admission, AdmissionLimits
from broker.relay.attach import serve_attached
from broker.relay.door import Door
from broker.relay.portal import Portal
from broker.relay.server import Front, listen
from broker.relay.session import SessionDefaults, Sessions
from broker.relay.verbs import Verbs
from broker.relay.waiting import Waiting
from broker.relay.zygote import Zygote
from broker.services.anchors import Anchors
from broker.services.approvals.asking import Asking
from broker.services.approvals.board import Board
from broker.services.approvals.facts import OfficeHours
from broker.services.approvals.holding import HeldLines
from broker.services.approvals.lookup import Lookup
from broker.services.approvals.service import ApprovalService, ApprovalSettings
from broker.services.audit import AuditTrail
from broker.services.catalog import Catalog, Loaded
from broker.services.keeping import Health, Keeping
from broker.services.login import LoginService
from broker.services.notifying import Courier, Herald, Route
from broker.services.recordings import RecordingService
from broker.services.seals import Sealer
from broker.services.sessions import SessionService
from broker.services.tasks import Tasks
from recorder.signing import KeyRing, SigningKey

log = structlog.get_logger()

STORE = "bartizan.db"


def open_store(config: Config) -> SqliteStore:
    """The state of this bastion. Raises Unavailable."""
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SqliteStore(config.data / STORE)


def open_vault(config: Config, store: SqliteStore) -> Vault:
    """The vault, unlocked with the configured master key. Raises Unavailable."""
    settings = config.vault
    if settings.master_key is None:
        raise Unavailable(
            "no master key is configured, so no secret can be opened",
            hint="set vault.master_key in bartizan.yaml; bartizan secrets master-key FILE makes one",
        )
    keys = MasterKeyRing(source_of(settings.master_key), [source_of(old) for old in settings.previous])
    return Vault(store, keys, SystemClock())


class _NoVault:
    """Stands where no master key is configured: every session is refused, with the reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def fetch(self, grant: Grant) -> Credential:
        raise Unavailable(self._reason)

    def for_notifier(self, name: str) -> Secret:
        raise Unavailable(self._reason)


def open_signer(config: Config, store: SqliteStore) -> SigningKey:
    """The key that recordings and the audit are signed with. Without it nothing may be recorded, so the
    broker does not run. It is made where a bastion starts for the first time; later that is an error.

    Raises Unavailable.
    """
    source = config.signing.key
    if source.file is not None and not os.path.lexists(source.file):
        if store.last_seal() is not None:
            raise Unavailable(
                f"the signing key {source.file} is gone, so nothing can be recorded",
                hint="bring it back, or make a new one: bartizan audit key new FILE (docs/evidence.md)",
            )
        log.info("signing-key.made", path=str(source.file), key=make_signing_key(source.file).key)
    return read_signing_key(source)


def load_catalog(config: Config) -> Loaded:
    """Targets, policies and on-call lists as the files have them now. Raises InvalidConfig."""
    targets = load_targets(config.targets, required=config.is_set("targets"))
    roster = DutyRoster(config.on_call, required=config.is_set("on_call"))
    policies = load_policies(config.policies, required=config.is_set("policies"), on_call=roster)
    return Loaded({target.name: target for target in targets}, Engine(policies, judge_line))


@dataclass(slots=True)
class Broker:
    """A running broker. `port`: where SSH clients connect, also where the configuration says 0."""

    config: Config
    port: int
    catalog: Catalog
    _acceptor: asyncssh.SSHAcceptor
    _control: asyncio.Server
    _store: SqliteStore
    _sessions: SessionService
    _recordings: RecordingService
    _keeping: Keeping
    _zygote: Zygote
    _tasks: Tasks
    _background: Tasks
    """What never ends by itself."""

    def reload(self) -> None:
        """Read targets and policies again (SIGHUP); bad files change nothing and are logged."""
        try:
            log.info("reloaded", targets=self.catalog.reload())
        except InvalidConfig as exc:
            log.error("reload.refused", error=exc.message)

    async def stop(self) -> None:
        """No new sessions; live ones are told and get `sessions.drain` to end; recordings are sealed."""
        self._acceptor.close()
        self._control.close()
        self._sessions.refuse_new("this bastion is being stopped")
        self._sessions.kill_all("shutdown", "this bastion is being stopped")
        if left := await self._tasks.wait(self.config.sessions.drain):
            log.warning("stop.unfinished", tasks=left)
        await self._background.close()
        await self._tasks.close()
        self._zygote.stop()
        await self._recordings.stop()
        await self._keeping.stop()
        with contextlib.suppress(FileNotFoundError):
            self.config.control.socket.unlink()
        self._store.close()
        log.info("stopped")


async def start(config: Config) -> Broker:
    """Bring a broker up, bottom to top.

    Raises:
        InvalidConfig, Unavailable: it cannot run as configured; nothing is left listening.
    """
    async with contextlib.AsyncExitStack() as undo:
        clock = SystemClock()
        catalog = Catalog(lambda: load_catalog(config))
        store = open_store(config)
        undo.callback(store.close)
        trail = AuditTrail(store, clock)
        evidence = await _evidence(config, store, trail, clock)
        recordings = evidence.recordings
        undo.push_async_callback(recordings.stop)
        if salvaged := await recordings.salvage(store):
            log.warning("sessions.interrupted", count=salvaged)
        login = LoginService(store, trail, clock)
        tasks = Tasks()
        undo.push_async_callback(tasks.close)
        vault = _secrets(config, store)
        deciding = _deciding(config, store, vault, catalog, trail, clock, tasks)
        approvals, asking, lookup = deciding.approvals, deciding.asking, deciding.lookup
        sessions = SessionService(
            targets=catalog,
            policy=catalog,
            users=store,
            store=store,
            trail=trail,
            clock=clock,
            most=config.sessions.max_sessions,
            approvals=approvals,
            asking=asking,
        )
        requests = RequestHandlers(approvals, asking, lookup, sessions, store, store, store, recordings)
        handlers = Handlers(catalog, catalog, sessions, store, recordings, trail, clock, requests)
        zygote = Zygote(config.portal.user)
        undo.callback(zygote.stop)
        await zygote.start()
        control: ControlServer

        def serve_child(
            end: socket.socket, who: Authenticated, granted: Callable[[Grant], None] | None
        ) -> asyncio.Task[None]:
            return control.serve_child(end, who, granted)

        door = Door(
            Sessions(
                sessions,
                recordings,
                vault,
                store,
                _defaults(config),
                HeldLines(approvals, asking, sessions.grant_of, clock, tasks),
            ),
            sessions,
            Portal(zygote, serve_child, config.portal.ui.value),
            Verbs(serve_child, config.portal.user),
            asking,
            Waiting(approvals),
            lookup,
        )
        attached = serve_attached(door, tasks, config.accept_env)
        control = ControlServer(handlers, login, trail, attached, version("bartizan"))
        front = _front(config, store, login, trail, door, clock, tasks)
        listening = await control.listen(config.control.socket, config.control.mode)
        undo.callback(listening.close)
        acceptor = await _listen(config, front)
        evidence.keeping.start()
        background = Tasks()
        background.spawn(approvals.keep_time(), "requests-time")
        background.spawn(deciding.courier.run(), "notify")
        undo.pop_all()
    port = acceptor.get_port()
    log.info("ready", address=config.listen.address, port=port, control=str(config.control.socket))
    return Broker(
        config, port, catalog, acceptor, listening, store, sessions, recordings, evidence.keeping, zygote,
        tasks, background,
    )  # fmt: skip


async def serve(config_path: Path, ready: Callable[[Broker], None] = lambda broker: None) -> None:
    """Run a broker until SIGTERM or SIGINT; SIGHUP reloads targets and policies."""
    os.umask(0o077)
    broker = await start(load_config(config_path))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, broker.reload)
    gc.collect()
    gc.freeze()  # what lives as long as the broker is never looked at again: no pause of 100 ms
    ready(broker)
    await stop.wait()
    await broker.stop()


def _front(
    config: Config,
    store: SqliteStore,
    login: LoginService,
    trail: AuditTrail,
    door: Door,
    clock: Clock,
    tasks: Tasks,
) -> Front:
    """What every connection needs. Raises InvalidConfig for a file of CAs that holds none."""
    return Front(
        login=login,
        trail=trail,
        admission=Admission(_admission_limits(config)),
        door=door,
        clock=clock,
        tasks=tasks,
        accept_env=config.accept_env,
        user_cas=user_ca_fingerprints(config),
        is_user=lambda name: store.user(name) is not None,
    )


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Recordings, and what keeps them and the audit provable."""

    recordings: RecordingService
    keeping: Keeping


async def _evidence(config: Config, store: SqliteStore, trail: AuditTrail, clock: Clock) -> _Evidence:
    """Raises Unavailable where nothing could be signed."""
    signer = await asyncio.to_thread(open_signer, config, store)
    sealer = Sealer(store, signer, clock)
    await asyncio.to_thread(sealer.begin)
    recordings = RecordingService(
        config.recordings,
        clock,
        config.recording.exec_keep,
        config.recording.fsync,
        signer=signer,
        trail=trail,
        audit=store,
    )
    places = [anchor_place(place) for place in config.anchors.to]
    anchors = Anchors(places, config.anchors.every, store, sealer, trail)
    health = Health(store, config.recordings, KeyRing([signer.public]), trail)
    return _Evidence(recordings, Keeping(sealer, anchors, recordings, health, config.recording.anchor))


@dataclass(frozen=True, slots=True)
class _Deciding:
    """Everything about requests."""

    approvals: ApprovalService
    asking: Asking
    lookup: Lookup
    courier: Courier


def _deciding(
    config: Config,
    store: SqliteStore,
    vault: Vault | _NoVault,
    catalog: Catalog,
    trail: AuditTrail,
    clock: Clock,
    tasks: Tasks,
) -> _Deciding:
    """Settles what a broker that died had held. Raises InvalidConfig for a notifier that cannot be."""
    notifiers = {entry.name: notifier(entry, vault.for_notifier) for entry in config.notifiers}
    courier = Courier(store, notifiers, clock)
    herald = Herald(routes(config), config.approvals.command)
    approvals = ApprovalService(
        store=store,
        users=store,
        clock=clock,
        board=Board(),
        tasks=tasks,
        settings=approval_settings(config),
        tell=herald.told,
    )
    if settled := approvals.recover():
        log.warning("requests.settled", count=settled)
    approvals.board.listen(lambda change: courier.wake())
    trail.watch(lambda event: report_blocked(store, herald, courier, event, clock.now()))
    asking = Asking(approvals, catalog, store, store, clock)
    return _Deciding(approvals, asking, Lookup(approvals, store, store, store, clock), courier)


def approval_settings(config: Config) -> ApprovalSettings:
    """The defaults of requests, in seconds."""
    given = config.approvals
    return ApprovalSettings(
        within_s=round(given.within),
        lasts_s=round(given.lasts),
        run_within_s=round(given.run_within),
        first_use_s=round(given.first_use),
        most_open=given.max_open,
        most_per_hour=given.max_per_hour,
        hours=OfficeHours(*given.office_hours),
    )


def routes(config: Config) -> list[Route]:
    """Which notifier hears what."""
    return [
        Route(entry.name, frozenset(NoticeEvent(event.value) for event in entry.on), entry.default)
        for entry in config.notifiers
    ]


def report_blocked(store: SqliteStore, herald: Herald, courier: Courier, event: AuditEvent, now: int) -> None:
    """Tell those who want to hear of refused attempts. In the thread that has noted it."""
    for delivery in herald.blocked(event, now):
        store.queue_delivery(delivery)
        courier.wake_soon()


def user_ca_fingerprints(config: Config) -> frozenset[str]:
    """The CAs whose user certificates log in. Raises InvalidConfig for a file that holds no public key."""
    found = []
    for path in config.user_ca_keys:
        try:
            keys = asyncssh.read_public_key_list(str(path))
        except (OSError, asyncssh.KeyImportError) as exc:
            raise InvalidConfig(f"user_ca_keys: {path} holds no public key ({exc})") from None
        if not keys:
            raise InvalidConfig(f"user_ca_keys: {path} holds no public key")
        found += [key.get_fingerprint() for key in keys]
    return frozenset(found)


def host_key(path: Path) -> asyncssh.SSHKey:
    """The key that users know this bastion by; made at the first start, mode 0600. Raises Unavailable."""
    try:
        if not path.exists():
            key = asyncssh.generate_private_key("ssh-ed25519", comment="bartizan")
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(key.export_private_key())
            log.info("host-key.made", path=str(path), fingerprint=key.get_fingerprint())
        return asyncssh.read_private_key(str(path))
    except (OSError, asyncssh.KeyImportError) as exc:
        raise Unavailable(f"the host key {path} cannot be used ({exc})") from None


async def _listen(config: Config, front: Front) -> asyncssh.SSHAcceptor:
    key = host_key(config.host_key)
    where = config.listen
    try:
        return await listen(
            front,
            where.address,
            where.port,
            [key],
            login_timeout=config.login.timeout,
            keepalive=config.sessions.keepalive,
        )
    except OSError as exc:
        text = f"cannot listen on {where.address}:{where.port} ({exc.strerror})"
        raise Unavailable(text, hint="listen.port in bartizan.yaml chooses another port") from None


def _secrets(config: Config, store: SqliteStore) -> Vault | _NoVault:
    try:
        return open_vault(config, store)
    except Unavailable as exc:
        if config.vault.master_key is not None:
            raise
        return _NoVault(exc.message)


def _defaults(config: Config) -> SessionDefaults:
    bounds = config.sessions
    return SessionDefaults(
        idle_s=None if bounds.idle_timeout is None else round(bounds.idle_timeout),
        longest_s=None if bounds.max_time is None else round(bounds.max_time),
        keepalive_s=round(bounds.keepalive),
    )


def _admission_limits(config: Config) -> AdmissionLimits:
    login = config.login
    return AdmissionLimits(
        starts=login.max_starts,
        starts_per_source=login.max_starts_per_source,
        connections_per_source=login.max_connections_per_source,
        failures=login.max_failures_per_source,
        window=round(login.failure_window * 1_000_000),
    )
