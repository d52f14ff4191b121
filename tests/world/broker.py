"""The broker as an operator runs it: `bartizan serve`, its configuration, and the commands beside it."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.world.client import SshClient
from tests.world.keys import KeyPair
from tests.world.process import HOST, PATIENCE, Child, clean_env, free_port
from tests.world.sshd import Sshd

BARTIZAN = Path(sys.executable).with_name("bartizan")


class Broker:
    """One broker in a folder of its own. Write targets and policies, `start`, and connect with `client`."""

    def __init__(self, place: Path, *, config: Mapping[str, Any] | None = None) -> None:
        """`place` needs a short path: it holds a Unix socket. `config` replaces keys of bartizan.yaml."""
        self.place = place
        self.port = free_port()
        self.data = place / "data"
        self.control = place / "control.sock"
        self.config_file = place / "bartizan.yaml"
        self.env: dict[str, str] = {}
        """Added to the environment of the daemon and of each command."""
        self._child: Child | None = None
        self.prepare(config or {})

    def prepare(self, config: Mapping[str, Any]) -> None:
        """What an operator does before the first start: the folders, the master key, bartizan.yaml."""
        for folder in (self.place, self.data, self.place / "targets", self.place / "policies"):
            folder.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        master = self.place / "master.key"
        master.touch(mode=0o600)
        master.write_text(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
        write_yaml(
            self.config_file,
            {
                "listen": {"address": HOST, "port": self.port},
                "data": str(self.data),
                "targets": str(self.place / "targets"),
                "policies": str(self.place / "policies"),
                "control": {"socket": str(self.control)},
                "vault": {"master_key": {"file": str(master)}},
                **config,
            },
        )

    # --- configuration -----------------------------------------------------------------------

    def target(self, name: str, sshd: Sshd, **fields: Any) -> None:
        """Write targets/NAME.yaml for `sshd`, host keys pinned; `fields` add or replace, None removes."""
        content = {
            "name": name,
            "address": HOST,
            "port": sshd.port,
            "accounts": [sshd.user],
            "credential": {"secret": name},
            "host_keys": [key.bare for key in sshd.host_keys],
            **fields,
        }
        present = {key: value for key, value in content.items() if value is not None}
        write_yaml(self.place / "targets" / f"{name}.yaml", present)

    def policy(self, name: str, content: Mapping[str, Any] | str) -> None:
        """Write policies/NAME.yaml, from a mapping or as the text it is."""
        path = self.place / "policies" / f"{name}.yaml"
        if isinstance(content, str):
            path.write_text(content)
        else:
            write_yaml(path, content)

    # --- the daemon --------------------------------------------------------------------------

    @property
    def child(self) -> Child:
        assert self._child, "the broker is not running"
        return self._child

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def log(self) -> str:
        """What the daemon has printed since its last start."""
        return self.child.output

    def launch(self) -> Child:
        """Start the daemon and do not wait: for starts that should fail."""
        assert self._child is None or not self._child.alive, "the broker is running already"
        argv = self.argv("serve")
        self._child = Child(argv, env=self.environment(), cwd=self.place)
        return self._child

    def start(self, timeout: float = PATIENCE) -> Broker:
        """Start the daemon; returns once both doors, SSH and control, answer."""
        child = self.launch()
        deadline = time.monotonic() + timeout
        while not (self._control_answers() and self._ssh_answers()):
            try:
                status = child.process.wait(0.02)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                child.dispose()
                raise AssertionError(
                    f"the broker did not answer in {timeout:.0f} s:\n{child.output}"
                ) from None
            raise AssertionError(f"the broker ended with status {status}:\n{child.output}")
        return self

    def stop(self, timeout: float = PATIENCE) -> int:
        """SIGTERM, and wait; the exit status. Nothing happens if it does not run."""
        return self._child.stop(timeout) if self._child and self._child.alive else 0

    def kill9(self) -> None:
        """Crash the daemon; its children are left to notice by themselves."""
        self.child.kill9()

    def restart(self) -> Broker:
        """Stop and start on the same port."""
        self.stop()
        return self.start()

    def dispose(self) -> None:
        """End it and what is left of its process group: for the end of a test."""
        if self._child:
            self._child.dispose()

    def _control_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.control)) == 0

    def _ssh_answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=PATIENCE) as probe:
                return probe.recv(8).startswith(b"SSH-2.0-")
        except OSError:
            return False

    # --- people ------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """What the daemon and the commands get."""
        return clean_env(self.place, USER=os.environ.get("USER", "root"), **self.env)

    def argv(self, *arguments: str) -> list[str]:
        """The command line of a `bartizan` command; `arguments` are the verb and what follows."""
        return [str(BARTIZAN), "--config", str(self.config_file), *arguments]

    def cli(
        self, *arguments: str, input: str = "", check: bool = True, timeout: float = 2 * PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; with `check`, AssertionError with its output unless it exits with 0."""
        done = subprocess.run(
            self.argv(*arguments),
            input=input,
            capture_output=True,
            text=True,
            env=self.environment(),
            cwd=self.place,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            words = " ".join(arguments)
            raise AssertionError(f"bartizan {words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def client(self, login: str, key: KeyPair | None, *, options: Sequence[str] = ()) -> SshClient:
        """A person with `key` who calls `ssh LOGIN@bastion`; trusts the broker's key at first sight."""
        name = key.path.name if key else "nobody"
        home = self.place / f"client-{name}"
        home.mkdir(exist_ok=True)
        return SshClient(self.port, login, key.path if key else None, home, options=tuple(options))


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Block style, keys in the given order, as a person would write it."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096  # keys stay on one line
    with path.open("w") as file:
        yaml.dump(dict(content), file)
