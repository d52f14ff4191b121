"""`bartizan` (alias `bz`): arguments → one function call each.

What a verb needs is imported when it is called, so that a short question is answered fast.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.commands.context import Context
from broker.model import exits
from broker.model.errors import BartizanError
from broker.services.route import VERBS_OVER_SSH

if TYPE_CHECKING:
    from broker.adapters.sqlite import SqliteStore
    from broker.adapters.vault import Vault
    from broker.config import Config
    from broker.model.identity import User
    from recorder.signing import SigningKey

RUN_AS = "BARTIZAN_RUN_AS"
CONFIG = "/etc/bartizan/bartizan.yaml"

VERBS = {
    "ls": ("access", "ls"),
    "open": ("access", "open_target"),
    "request": ("requests", "request"),
    "requests": ("requests", "requests"),
    "approvals": ("requests", "approvals"),
    "approve": ("requests", "approve"),
    "deny": ("requests", "deny"),
    "why": ("requests", "why"),
    "sessions": ("sessions", "sessions"),
    "recordings": ("sessions", "recordings"),
    "users": ("users", "users"),
    "keys": ("keys", "keys"),
    "secrets": ("secrets", "secrets"),
    "targets": ("targets", "targets"),
    "config": ("config", "config"),
    "policy": ("policy", "policy"),
    "audit": ("audit", "audit"),
    "serve": ("service", "serve"),
    "init": ("service", "init"),
    "demo": ("demo", "demo"),
    "completion": ("completion", "completion"),
    "help": ("help", "show_help"),
    "version": ("version", "version"),
}
"""Verb → module of `broker.commands` and the name of its command there."""


class CliContext(Context):
    """Opens the store and the vault when a verb first needs them."""

    _store: SqliteStore | None = None
    _vault: Vault | None = None

    def open_store(self) -> SqliteStore:
        if self._store is None:
            from broker.app import open_store
            from broker.config import load_config

            self._store = open_store(load_config(self.config_path))
        return self._store

    def open_vault(self) -> Vault:
        if self._vault is None:
            from broker.app import open_vault
            from broker.config import load_config

            self._vault = open_vault(load_config(self.config_path), self.open_store())
        return self._vault

    def settings(self) -> Config:
        """The configuration. Raises InvalidConfig."""
        from broker.config import load_config

        return load_config(self.config_path)

    def signing_key(self) -> SigningKey:
        """The key in force. Raises Unavailable."""
        from broker.adapters.signing_key import read_signing_key

        return read_signing_key(self.settings().signing.key)

    def stored_user(self, name: str) -> User | None:
        return self.open_store().user(name)

    def close(self) -> None:
        if self._store is not None:
            self._store.close()


class _Verbs(click.Group):
    """Finds verbs in `VERBS`, and says which one was meant where there is none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, name = VERBS[cmd_name]
        command = getattr(import_module(f"broker.commands.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"there is no verb {args[0]!r}.{meant} bartizan --help lists them.")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--config",
    "config_path",
    envvar="BARTIZAN_CONFIG",
    default=CONFIG,
    show_default=True,
    type=click.Path(path_type=Path),
    help="The configuration file.",
)
@click.option("--json", "as_json", is_flag=True, help="Answers and errors as JSON, one object per line.")
@click.pass_context
def cli(ctx: click.Context, config_path: Path, as_json: bool) -> None:
    """The session broker of a bastion host: every session judged, recorded, replayable.

    Without a verb: the picker, as `ssh bastion` shows it.

    \b
    Examples:
      bartizan ls prod                      what you may reach
      bartizan open web-1 -- uptime         one command there
      bartizan recordings play S-1.cast     look at what happened
    """
    context = CliContext(config_path, as_json)
    context.find_user = context.stored_user
    ctx.obj = context
    ctx.call_on_close(context.close)
    if ctx.invoked_subcommand is None:
        from broker.commands.asking import control_socket
        from broker.wire.attached import attach

        sys.exit(attach(control_socket(context), None))


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Errors are one sentence on stderr, with the exit status of `broker.model.exits`."""
    if RUN_AS in os.environ:
        _give_up_rights(os.environ.pop(RUN_AS))
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    try:
        cli.main(words, prog_name="bartizan", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(exits.CANCELLED)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        _fail("E-USAGE", exc.format_message(), "", exits.USAGE, as_json)
    except BartizanError as exc:
        _fail(exc.code, exc.message, exc.hint, exc.exit_status, as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(exits.FAILED)


def _give_up_rights(ids: str) -> None:
    """As a child of a broker that is root (`ssh bastion VERB`): load the code, then be nobody.

    No other verbs exist from then on.
    """
    for verb in VERBS.keys() - VERBS_OVER_SSH:
        del VERBS[verb]
    for module, _ in VERBS.values():
        import_module(f"broker.commands.{module}")
    uid, gid = (int(number) for number in ids.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _fail(code: str, message: str, hint: str, status: int, as_json: bool) -> None:
    if as_json:
        error: dict[str, Any] = {"v": 1, "error": {"code": code, "message": message, "hint": hint}}
        print(json.dumps(error), file=sys.stderr)
    else:
        print(f"bartizan: [{code}] {message}" + (f"\n  {hint}" if hint else ""), file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
