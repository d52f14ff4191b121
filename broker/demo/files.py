"""What the demo is made of, as files: the target's home, the broker's configuration and policies."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

README = """\
Shop, production. Orders are in ~/shop.db, the site in ~/srv/shop.
Backups run at 03:00. Ask the owner before you remove anything.
"""
README_WORDS = "Ask the owner before you remove anything."
"""Words of it that the scripted run looks for."""

_HOME = {
    "srv/shop/README": README,
    "srv/shop/index.html": "<!doctype html><title>Shop</title><p>Open.</p>\n",
    "srv/shop/VERSION": "2026.11.3\n",
    "etc/app/db.env": "DB_HOST=localhost\nDB_USER=shop\nDB_PASSWORD=demo-only-hunter2\n",
    "notes.txt": "This home is a temporary folder; it is removed when the demo ends.\n",
}


class Host(NamedTuple):
    """A target as the picker lists it."""

    name: str
    account: str
    tags: dict[str, str]
    note: str
    secret: str


KEY_SECRET, PASSWORD_SECRET = "shop-key", "web-password"

HOSTS = (
    Host("shop-db", "alice", {"env": "prod", "owner": "dba"}, "orders, SQLite", KEY_SECRET),
    Host("shop-web", "deploy", {"env": "prod", "owner": "web"}, "asks for a reason", PASSWORD_SECRET),
    Host("lab-1", "dev", {"env": "lab", "owner": "bob"}, "open for bob only", KEY_SECRET),
)

RULE = "no-rm-rf"
POLICY_COUNT = 4
POLICIES = f"""\
# The policies of the demo. The language is described in docs/policies.md.
version: 1
policies:
  - name: ops-shell
    who: {{groups: ops}}
    targets: {{names: shop-db}}
    accounts: alice
    channels: [shell, exec]
    opaque: allow
    commands:
      - name: {RULE}
        deny: {{program: rm, args: "-rf"}}
        reason: shop data is not removed with rm -rf

  - name: web-with-reason
    who: {{groups: ops}}
    targets: {{names: shop-web}}
    accounts: deploy
    channels: [shell, exec]
    reason: required

  - name: lab-for-bob
    who: {{users: bob}}
    targets: {{names: lab-1}}
    accounts: dev
    channels: [shell, exec]

  - name: lab-until-2024
    who: {{groups: ops}}
    targets: {{names: lab-1}}
    accounts: dev
    channels: [shell, exec]
    when: {{until: 2024-12-31}}
"""


def furnish_home(home: Path, owner: int | None) -> None:
    """Make the target's home, mode 0700; `owner` is the user and group it is given to."""
    home.mkdir(mode=0o700)
    for name, content in _HOME.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    _make_database(home / "shop.db")
    if owner is not None:
        for path in (home, *home.rglob("*")):
            os.chown(path, owner, owner)


def _make_database(path: Path) -> None:
    rows = [(n, "open" if n % 7 else "x", n * 19 % 400 + 5) for n in range(1, 201)]
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT NOT NULL, euro INTEGER NOT NULL)"
        )
        db.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    db.close()


def broker_config(folder: Path, ui: str) -> str:
    """The text of bartizan.yaml; `folder` is private to the broker."""
    return f"""\
listen: {{address: 127.0.0.1, port: 0}}
data: {folder / "data"}
targets: {folder / "targets"}
policies: {folder / "policies"}
control: {{socket: {folder / "control.sock"}, mode: "0600"}}
vault: {{master_key: {{file: {folder / "master.key"}}}}}
portal: {{ui: {ui}}}
sessions: {{drain: 1s}}
"""


def target_file(host: Host, port: int, host_key: str) -> str:
    """The text of one file of targets/; `host_key` is `type base64`."""
    tags = ", ".join(f"{name}: {value}" for name, value in host.tags.items())
    return f"""\
name: {host.name}
address: 127.0.0.1
port: {port}
accounts: [{host.account}]
credential: {{secret: {host.secret}}}
host_keys: ["{host_key}"]
tags: {{{tags}}}
note: {host.note}
"""


def client_config(folder: Path, port: int) -> str:
    """The text of an ssh_config(5) in which `bastion` is the broker for alice and `bastion-bob` for bob."""
    return "".join(
        _client_host(folder, port, *pair) for pair in (("bastion", "alice"), ("bastion-bob", "bob"))
    )


def _client_host(folder: Path, port: int, host: str, user: str) -> str:
    return f"""\
Host {host}
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder / user}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {folder / "known_hosts"}
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
    HostKeyAlias bartizan-demo
    SendEnv LANG LC_* NO_COLOR COLORTERM
    ControlMaster no
    ControlPath none
    LogLevel ERROR
"""
