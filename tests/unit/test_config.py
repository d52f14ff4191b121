"""bartizan.yaml and targets/*.yaml: strict, typed, and every problem told with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.config import RESERVED_VERBS, Config, KeySource, Ui, load_config, load_targets
from broker.config.units import duration, size
from broker.model.errors import InvalidConfig
from broker.model.target import CredentialKind, Dialect

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFwVqDJLxkvHmwRKrMpY8oI2r1FBkOYwrhHyB4fJqGgj"
TARGET = "name: web-1\naddress: 10.0.0.1\naccounts: [deploy]\ncredential: ca\n"


def config(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "bartizan.yaml"
    path.write_text(text)
    return load_config(path)


def refusal(tmp_path: Path, text: str) -> list[str]:
    """The lines of the refusal, the folder taken off."""
    with pytest.raises(InvalidConfig) as caught:
        config(tmp_path, text)
    assert caught.value.exit_status == 78
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def targets_refusal(folder: Path, text: str) -> list[str]:
    (folder / "a.yaml").write_text(text)
    with pytest.raises(InvalidConfig) as caught:
        load_targets(folder)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    settings = config(tmp_path, "")
    assert (settings.listen.address, settings.listen.port) == ("0.0.0.0", 2222)
    assert settings.host_key == Path("/var/lib/bartizan/ssh_host_ed25519_key")
    assert settings.targets == tmp_path / "targets"
    assert settings.recordings == Path("/var/lib/bartizan/recordings")
    assert settings.vault.master_key is None
    assert settings.sessions.idle_timeout == 3600
    assert not settings.is_set("targets")


def test_values_and_relative_paths(tmp_path: Path) -> None:
    settings = config(
        tmp_path,
        "data: state\n"
        "targets: ./hosts\n"
        "user_ca_keys: [ca.pub, /etc/ca.pub]\n"
        "control: {socket: run/s, mode: 0660}\n"
        "sessions: {idle_timeout: never, max_time: 1h30m}\n"
        "recording: {exec_keep: 2GiB, fsync: 500ms}\n"
        "vault: {master_key: {file: mk}, previous: [{env: OLD_KEY}, {credential: old.key}]}\n"
        "portal: {ui: plain}\n"
        "accept_env: [LANG, MY_*]\n",
    )
    assert settings.host_key == tmp_path / "state" / "ssh_host_ed25519_key"
    assert settings.targets == tmp_path / "hosts"
    assert settings.is_set("targets")
    assert settings.user_ca_keys == (tmp_path / "ca.pub", Path("/etc/ca.pub"))
    assert (settings.control.socket, settings.control.mode) == (tmp_path / "run/s", 0o660)
    assert (settings.sessions.idle_timeout, settings.sessions.max_time) == (None, 5400)
    assert (settings.recording.exec_keep, settings.recording.fsync) == (2 << 30, 0.5)
    assert settings.vault.master_key == KeySource(file=tmp_path / "mk")
    assert [k.env for k in settings.vault.previous] == ["OLD_KEY", None]
    assert settings.portal.ui is Ui.PLAIN


def test_all_problems_are_told_with_file_line_and_key(tmp_path: Path) -> None:
    assert refusal(
        tmp_path,
        "listen: {port: 0x16, adress: x}\n"
        "sessions:\n"
        "  max_time: 30\n"
        "  idle_timeout: soon\n"
        "vault:\n"
        "  master_key: {file: k, env: X}\n"
        "logg: {}\n"
        "data: 5\n"
        "log: {level: loud}\n"
        "recording: {fsync: 2m}\n",
    ) == [
        "bartizan.yaml:1: listen.port: expected a whole number, got '0x16'",
        "bartizan.yaml:1: listen.adress: unknown key, did you mean 'address'?",
        "bartizan.yaml:3: sessions.max_time: expected a duration such as 30s, 5m or 2h, got 30 (or never)",
        "bartizan.yaml:4: sessions.idle_timeout: expected a duration such as 30s, 5m or 2h, "
        "got 'soon' (or never)",
        "bartizan.yaml:6: vault.master_key: expected exactly one of file, env, credential",
        "bartizan.yaml:7: logg: unknown key, did you mean 'log'?",
        "bartizan.yaml:8: data: expected a path, got 5",
        "bartizan.yaml:9: log.level: expected 'debug', 'info', 'warning' or 'error', got 'loud'",
        "bartizan.yaml:10: recording.fsync: expected at most 60, got '2m'",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("data: a\ndata: b\n", "bartizan.yaml:2: data: the key is given twice"),
        ("log: {level: info, level: debug}\n", "bartizan.yaml:1: log.level: the key is given twice"),
        ("data:\n", "bartizan.yaml:1: data: has no value: give one, or leave the key out"),
        ("data: ~\n", "bartizan.yaml:1: data: has no value: give one, or leave the key out"),
        ("a: &x [1]\nb: *x\n", "bartizan.yaml:2: b: aliases (*name) are not supported: write it out"),
        ("data: !env X\n", "bartizan.yaml:1: data: the tag !env is not supported"),
        ("- 1\n", "bartizan.yaml:1: expected a mapping (key: value), got a list"),
        ('data: "a\\e[31m"\n', "bartizan.yaml:1: data: control and invisible characters are not allowed"),
        ("data: 'x\n", "bartizan.yaml:2: not valid YAML: found unexpected end of stream"),
        ("[" * 5000, "bartizan.yaml: not valid YAML: nested too deeply"),
        ("{}\n---\n{}\n", "bartizan.yaml:2: not valid YAML: but found another document"),
    ],
)
def test_what_surprises_in_yaml_is_refused(tmp_path: Path, text: str, told: str) -> None:
    assert refusal(tmp_path, text) == [told]


def test_a_directive_does_not_bring_the_old_booleans_back(tmp_path: Path) -> None:
    assert refusal(tmp_path, "%YAML 1.1\n---\nlisten: {port: 022}\n") == [
        "bartizan.yaml:3: listen.port: expected a whole number, got '022'"
    ]


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"nothing\.yaml: no such file"):
        load_config(tmp_path / "nothing.yaml")
    with pytest.raises(InvalidConfig, match="not a file"):
        load_config(tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"data: \xff\n")
    with pytest.raises(InvalidConfig, match=r"b\.yaml: not UTF-8 text \(byte 6\)"):
        load_config(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(InvalidConfig, match="larger than"):
        load_config(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    "pattern", ["*", "L*", "LD_*", "PATH", "BASH_*", "PYTHON*", "A B", "ÄA", "GIT_SSH_*"]
)
def test_lesson_25_no_pattern_lets_code_loading_variables_through(tmp_path: Path, pattern: str) -> None:
    """lesson 25: the names of variables a client may send are an allow list."""
    (problem,) = refusal(tmp_path, f"accept_env: ['{pattern}']\n")
    assert problem.startswith("bartizan.yaml:1: accept_env[0]: ")


@given(st.integers(1, 10**6), st.sampled_from(["s", "m", "h", "d"]))
def test_durations(number: int, unit: str) -> None:
    assert duration(f"{number}{unit}") == number * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]


@pytest.mark.parametrize("text", ["", "5", "0s", "-5s", "5 s", "s", "5w", "1h ", "1.5h", 5, True, None, []])
def test_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        duration(text)


@pytest.mark.parametrize("text", ["", "5", "0B", "0MiB", "-5B", "5MB", "MiB", 5, True, None])
def test_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        size(text)


SCALARS = [
    "~",
    "x",
    "1",
    "true",
    "[]",
    "{}",
    "'",
    '"\\ud800"',
    "!!int a",
    "? ",
    "- ",
    "&a *a",
    "<<: 1",
    "30s",
]
KEYS = st.sampled_from(["data", "listen", "port", "vault", "a"])
YAML_VALUES = st.recursive(
    st.sampled_from(SCALARS) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.tuples(KEYS, inner).map(lambda pair: f"{{{pair[0]}: {pair[1]}}}")
    ),
    max_leaves=6,
)


def refusal_of(load: Callable[[Path], object], path: Path) -> str | None:
    """Why it is refused, None if it loads. Any other exception fails the test."""
    try:
        load(path)
    except InvalidConfig as error:
        return str(error)
    return None


@given(st.binary(max_size=200) | YAML_VALUES.map(lambda text: f"data: {text}\n".encode("utf-8", "replace")))
def test_any_file_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "random-targets"
    folder.mkdir(exist_ok=True)
    path = folder / "t.yaml"
    path.write_bytes(raw)
    for load, place in ((load_config, path), (load_targets, folder)):
        told = refusal_of(load, place)
        assert told is None or told.startswith(str(path))


def test_targets_of_one_and_of_several_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(
        f"name: shop-db\naddress: db.example\nport: 2200\naccounts: [postgres, deploy]\n"
        f"credential: {{secret: db-key}}\nhost_keys: [{KEY} some comment]\n"
        "tags: {env: prod}\nnote: orders\nstart: psql shop\ndialect: postgres\n"
    )
    entries = [f"  - {{name: w{n}, address: '::1', accounts: [a], credential: ca}}\n" for n in (1, 2)]
    (tmp_path / "a.yaml").write_text("targets:\n" + "".join(entries))
    (tmp_path / ".hidden.yaml").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("nonsense")
    one, two, db = load_targets(tmp_path)
    assert (one.name, one.origin, two.origin) == ("w1", "a.yaml:2", "a.yaml:3")
    assert one.credential.kind is CredentialKind.CA
    assert one.port == 22
    assert (db.name, db.port, db.accounts, db.origin) == ("shop-db", 2200, ("postgres", "deploy"), "b.yaml:1")
    assert (db.credential.kind, db.credential.name) == (CredentialKind.SECRET, "db-key")
    assert db.host_keys == (KEY,)
    assert (db.tags, db.note, db.start, db.dialect) == (
        {"env": "prod"},
        "orders",
        "psql shop",
        Dialect.POSTGRES,
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("name: ../x", "name: expected a name of"),
        ("name: web+1", "name: expected a name of"),
        ("name: me@web", "name: expected a name of"),
        ("name: Web", "name: expected a name of"),
        (f"name: {'a' * 65}", "name: expected a name of"),
        ("name: recordings", "name: 'recordings' is a verb of the command line"),
        ("address: -oProxyCommand=x", "address: expected a host name"),
        ("address: a b", "address: expected a host name"),
        ("port: 0", "port: expected at least 1"),
        ("port: 65536", "port: expected at most 65535"),
        ("port: '22'", "port: expected a whole number"),
        ("port: true", "port: expected a whole number"),
        ("accounts: []", "accounts: must not be empty"),
        ("accounts: [a, a]", "accounts: an account of web-1 is given twice"),
        ("accounts: ['a+b']", "accounts[0]: expected an account name"),
        ("accounts: ['-x']", "accounts[0]: expected an account name"),
        ("credential: password", "credential: expected 'ca'"),
        ("credential: {name: x}", "credential.secret: this key is required"),
        ("host_keys: [ssh-ed25519]", "host_keys[0]: expected a public key"),
        ("host_keys: ['ssh-ed25519 !!!']", "host_keys[0]: expected a public key"),
        (f"host_keys: ['ssh-rsa {KEY.split()[1]}']", "host_keys[0]: expected a public key"),
        ("host_keys: ['ssh-rsa AAAAB3NzaC1yc2E=']", "host_keys[0]: expected a public key"),
        ("dialect: cobol", "dialect: expected 'shell'"),
        ("tags: [a]", "tags: expected a mapping"),
        ("tags: {env: 3}", "tags.env: expected text"),
        ("own: er", "own: unknown key"),
    ],
)
def test_a_target_with_a_problem_is_refused(tmp_path: Path, line: str, told: str) -> None:
    key = line.partition(":")[0]
    kept = [old for old in TARGET.splitlines() if not old.startswith(f"{key}:")]
    problems = targets_refusal(tmp_path, "\n".join([*kept, line]) + "\n")
    assert any(told in problem for problem in problems), problems
    assert all(problem.startswith("a.yaml:") for problem in problems)


@pytest.mark.parametrize("key", ["name", "address", "accounts", "credential"])
@pytest.mark.parametrize("value", ["missing", "''", "null", "[]", "{}"])
def test_lesson_3_a_target_key_that_is_missing_or_empty_is_refused(
    tmp_path: Path, key: str, value: str
) -> None:
    """lesson 3: no required key of a target may be missing, empty or null."""
    kept = [line for line in TARGET.splitlines() if not line.startswith(f"{key}:")]
    if value != "missing":
        kept.append(f"{key}: {value}")
    (problem, *_) = targets_refusal(tmp_path, "\n".join(kept) + "\n")
    assert f" {key}" in problem


@pytest.mark.parametrize("name", ["../etc/passwd", "a/b", "a\\0b", "x" * 300, "..", "", "a\nb", "é"])
def test_lesson_31_target_names_are_safe_in_paths(tmp_path: Path, name: str) -> None:
    """lesson 31: no name can leave a folder, hold a NUL or overflow a file name."""
    written = '"' + name.replace("\n", "\\n") + '"'
    problems = targets_refusal(tmp_path, TARGET.replace("web-1", written))
    assert problems


def test_target_names_are_unique_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(TARGET)
    assert targets_refusal(tmp_path, TARGET) == [
        "b.yaml:1: name: the target web-1 is defined already in a.yaml:1"
    ]


def test_a_file_by_the_other_suffix_is_not_ignored_in_silence(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(TARGET)
    assert targets_refusal(tmp_path, TARGET) == ["b.yml: not read: the name of the file must end in .yaml"]


def test_a_missing_folder_is_an_error_only_when_it_was_named(tmp_path: Path) -> None:
    assert load_targets(tmp_path / "none") == []
    with pytest.raises(InvalidConfig, match="none: cannot read the folder: No such file"):
        load_targets(tmp_path / "none", required=True)


def test_every_reserved_verb_could_have_been_a_target_name() -> None:
    assert list(RESERVED_VERBS) == sorted(RESERVED_VERBS)
    assert {"ls", "open", "proxy", "serve", "users", "secrets", "policy", "config"} <= set(RESERVED_VERBS)
