"""From a proof of possession to `Authenticated`, and every way it does not come to that."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.model.errors import Unavailable
from broker.model.identity import Authenticated, PublicKey, Source
from broker.services.login import Refused
from tests.unit.rows import NOW, user
from tests.unit.services import Services

BROKER = Path(__file__).parents[2] / "broker"
ADDRESS = "192.0.2.7"


@pytest.fixture
async def services(tmp_path: Path) -> Services:
    made = Services(tmp_path)
    for name in ("anne", "ben"):
        made.store.add_key(PublicKey(f"SHA256:{name}", name, "ssh-ed25519 AAAA", "", NOW))
    await made.recordings.stop()
    return made


async def test_a_verified_key_is_a_login(services: Services) -> None:
    found = await services.login.by_key("SHA256:anne", None, ADDRESS)
    assert isinstance(found, Authenticated)
    assert (found.principal.name, found.principal.groups) == ("anne", frozenset({"ops"}))
    assert found.source == Source(ADDRESS, "publickey", "SHA256:anne")
    (event,) = services.noted()
    assert (event.code, event.actor) == ("login.accepted", "anne")
    assert event.detail == {"address": ADDRESS, "method": "publickey", "credential": "SHA256:anne"}
    key = services.store.key("SHA256:anne")
    assert key is not None
    assert key.last_used_at == NOW


async def test_an_offer_is_no_login(services: Services) -> None:
    """lesson 1: "such a key may try" leaves no mark: no event, no use of the key, no proof."""
    found = services.login.may_try("SHA256:anne", None)
    assert not isinstance(found, Authenticated | Refused)
    assert services.codes() == []
    key = services.store.key("SHA256:anne")
    assert key is not None
    assert key.last_used_at is None


@pytest.mark.parametrize("named", ["anne", None, "web1"])
async def test_a_login_name_that_is_no_other_user_says_nothing(services: Services, named: str | None) -> None:
    assert isinstance(await services.login.by_key("SHA256:anne", named, ADDRESS), Authenticated)


async def test_a_key_never_logs_in_another_user(services: Services) -> None:
    """lesson 2: the name and the key must be of one user; nothing is remembered from one try to the next."""
    for _ in range(2):
        found = await services.login.by_key("SHA256:anne", "ben", ADDRESS)
        assert found == Refused("the key belongs to another user than the login names", "anne")
    assert services.login.may_try("SHA256:anne", "ben") == found
    assert services.codes() == []
    good = await services.login.by_key("SHA256:ben", "ben", ADDRESS)
    assert isinstance(good, Authenticated)
    assert good.principal.name == "ben"
    assert isinstance(await services.login.by_key("SHA256:anne", "ben", ADDRESS), Refused)


async def test_unknown_and_removed_keys(services: Services) -> None:
    assert services.login.may_try("SHA256:nobody", "anne") == Refused("unknown key")
    services.store.remove_key("SHA256:anne")
    assert await services.login.by_key("SHA256:anne", "anne", ADDRESS) == Refused("unknown key")
    assert services.codes() == []


async def test_a_locked_user_does_not_log_in_by_any_means(services: Services) -> None:
    services.store.set_locked("anne", NOW)
    services.store.add_user(replace(user("unix-one"), unix_user="u1", locked_at=NOW))
    for found in (
        services.login.may_try("SHA256:anne", None),
        await services.login.by_key("SHA256:anne", "anne", ADDRESS),
        services.login.may_try_certificate(["anne"]),
        await services.login.by_certificate(["anne"], "7/SHA256:ca", ADDRESS),
        await services.login.by_peer("anne", 1000),
        await services.login.by_peer("u1", 1001),
    ):
        assert isinstance(found, Refused)
    assert services.codes() == []
    services.store.set_locked("anne", None)
    assert isinstance(await services.login.by_key("SHA256:anne", "anne", ADDRESS), Authenticated)


async def test_a_user_locked_between_offer_and_signature_does_not_get_in(services: Services) -> None:
    assert not isinstance(services.login.may_try("SHA256:anne", "anne"), Refused)
    services.store.set_locked("anne", NOW)
    assert isinstance(await services.login.by_key("SHA256:anne", "anne", ADDRESS), Refused)


async def test_a_certificate_names_one_user(services: Services) -> None:
    found = await services.login.by_certificate(["anne", "not-here"], "7/SHA256:ca", ADDRESS)
    assert isinstance(found, Authenticated)
    assert found.source == Source(ADDRESS, "certificate", "7/SHA256:ca")


@pytest.mark.parametrize("principals", [[], ["nobody"], ["anne", "ben"]])
async def test_a_certificate_of_no_or_several_users_is_refused(
    services: Services, principals: list[str]
) -> None:
    """lesson 4: empty principals are nobody, not everybody."""
    assert isinstance(await services.login.by_certificate(principals, "7/SHA256:ca", ADDRESS), Refused)
    assert services.codes() == []


async def test_a_peer_is_the_user_that_stands_for_the_account(services: Services) -> None:
    services.store.add_user(replace(user("dora"), unix_user="ubuntu"))
    found = await services.login.by_peer("ubuntu", 1000)
    assert isinstance(found, Authenticated)
    assert (found.principal.name, found.source) == ("dora", Source("local", "local", "uid 1000"))
    assert isinstance(await services.login.by_peer("dora", 1001), Refused), "her account has another name"
    assert isinstance(await services.login.by_peer("anne", 1002), Authenticated)
    assert isinstance(await services.login.by_peer("nobody", 65534), Refused)


async def test_the_operator_is_no_user(services: Services) -> None:
    found = services.login.operator("root", 0)
    assert (found.principal.name, found.principal.admin) == ("(root)", True)
    assert services.store.user(found.principal.name) is None


async def test_without_audit_nobody_logs_in(services: Services) -> None:
    """Fail closed: a login that cannot be noted is none."""
    services.lose_the_store()
    with pytest.raises(Unavailable):
        await services.login.by_key("SHA256:anne", None, ADDRESS)
    with pytest.raises(Unavailable):
        await services.login.by_certificate(["anne"], "7/SHA256:ca", ADDRESS)
    with pytest.raises(Unavailable):
        await services.login.by_peer("anne", 1000)


async def test_refusals_are_noted_with_their_reason(services: Services) -> None:
    await services.login.refused(Refused("unknown key"), "x" * 5000, ADDRESS)
    (event,) = services.noted()
    assert (event.code, event.actor, event.subject) == ("login.refused", "-", "x" * 200)
    assert event.detail == {"address": ADDRESS, "reason": "unknown key"}


# ---------------------------------------------------------------- proofs are made in one place


def makers(name: str) -> Iterator[str]:
    """`module.function` of each place in the broker that calls this class."""
    for path in sorted(BROKER.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and _named(node.func) == name:
                    yield f"{path.relative_to(BROKER).with_suffix('')}.{function.name}"


def _named(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def test_authenticated_is_made_by_the_login_service_alone() -> None:
    """The proof of a login has one maker; `operator` is the broker's own account, and opens no session."""
    assert list(makers("Authenticated")) == ["services/login.operator", "services/login._accept"]


def test_a_grant_is_made_by_authorize_alone() -> None:
    assert list(makers("Grant")) == ["services/sessions._decide"]


def test_proofs_are_not_made_by_the_back_door() -> None:
    """No alias, no copy under other values: `replace` on a proof stands only where the user is read anew."""
    for path in sorted(BROKER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    assert alias.name not in ("Authenticated", "Grant") or alias.asname is None, path
            if isinstance(node, ast.Call) and _named(node.func) == "replace" and node.args:
                proof = ast.unparse(node.args[0]).split(".")[-1] in ("who", "grant", "authenticated")
                assert not proof or path == BROKER / "services" / "sessions.py", path
