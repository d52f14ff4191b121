"""One running broker for all tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bastion import ROOMY, Bastion
from tests.world.broker import Broker
from tests.world.keys import KeyPair
from tests.world.sshd import Sshd


@pytest.fixture(scope="session")
def bastion(world: Path, sshd: Sshd, user_key: KeyPair, target_key: KeyPair) -> Iterator[Bastion]:
    """Alice may have a shell and commands (but not `rm`) on `web`; see the policies. Do not change it.

    `only-shell`, `only-exec`: what their names say. `guarded` wants a reason. `hidden`: no policy names it.
    """
    with running(world / "bastion", sshd, user_key, target_key, ROOMY) as found:
        yield found


@pytest.fixture
def make_bastion(
    place: Path, sshd: Sshd, user_key: KeyPair, target_key: KeyPair
) -> Iterator[Callable[..., Bastion]]:
    """Call it with keys of bartizan.yaml for a bastion of one's own, without targets and not started."""
    with ExitStack() as ending:

        def make(name: str = "b", **config: Any) -> Bastion:
            broker = Broker(place / name, config={**ROOMY, **config})
            ending.callback(broker.dispose)
            return Bastion(broker, sshd, user_key, target_key)

        yield make


@contextmanager
def running(
    place: Path, sshd: Sshd, alice: KeyPair, target_key: KeyPair, config: dict[str, Any]
) -> Iterator[Bastion]:
    """A started bastion with the usual targets and policies, stopped at the end."""
    made = Bastion(Broker(place, config=config), sshd, alice, target_key)
    for name in ("web", "only-shell", "only-exec", "guarded", "hidden"):
        made.target(name, accounts=[sshd.user, "deploy"])
    mine: dict[str, Any] = {"accounts": [sshd.user]}
    no_rm = {"deny": {"program": "rm"}, "name": "no-rm", "reason": "Nothing is removed here."}
    made.allow("shell", targets=["web", "only-shell"], channels=["shell"], **mine)
    made.allow(
        "exec", targets=["web", "only-exec"], channels=["exec"], commands=[no_rm], opaque="allow", **mine
    )
    made.allow("guarded", targets=["guarded"], channels=["shell", "exec"], reason="required", **mine)
    try:
        yield made.start()
    finally:
        made.broker.dispose()


@pytest.fixture(scope="module")
def module_bastion(
    world: Path, sshd: Sshd, user_key: KeyPair, target_key: KeyPair, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Bastion]]:
    """As `make_bastion`, for all tests of a module."""
    with ExitStack() as ending:

        def make(name: str = "m", **config: Any) -> Bastion:
            place = world / f"{name}{len(request.module.__name__)}"
            broker = Broker(place, config={**ROOMY, **config})
            ending.callback(broker.dispose)
            return Bastion(broker, sshd, user_key, target_key)

        yield make
