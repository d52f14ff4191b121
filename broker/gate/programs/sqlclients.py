"""psql and the mysql client: the SQL they are given, and their own commands, which run programs."""

from __future__ import annotations

from broker.gate.programs.findings import Findings, Options, leading
from broker.gate.programs.sqltexts import run_text
from broker.gate.shell.run import Flow
from broker.gate.shell.state import State
from broker.gate.sql import MYSQL, POSTGRESQL
from broker.gate.text import known, names, resolved
from broker.model.command import FileRead, SqlText

CLIENTS = {"psql": POSTGRESQL, "pgcli": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "mycli": MYSQL}
_PSQL = Options("AaEeHlqSstVwWXxz01?bn", "cdfFLoPRTvhpU", names(
    """echo-all echo-queries echo-hidden html list quiet single-step single-line tuples-only version
    no-password password no-psqlrc expanded no-align field-separator-zero record-separator-zero
    single-transaction csv no-readline help"""
),
                names(
    """command dbname file field-separator log-file output pset record-separator table-attr set variable
    host port username"""
))  # fmt: skip
_MYSQL = Options("ABCEGHINPSTVVbfijnqrstvwX?Kco", "DehPSu", names(
    """batch column-names compress force html no-auto-rehash quick raw safe-updates silent
    skip-column-names table vertical verbose version wait xml password ssl help one-database no-beep
    unbuffered auto-rehash line-numbers no-defaults print-defaults compress-algorithms i-am-a-dummy no-tee
    no-pager show-warnings binary-as-hex get-server-public-key ssl-verify-server-cert skip-ssl disable-pager
    disable-tee local-infile named-commands enable-cleartext-plugin sigint-ignore abort-source-on-error
    reconnect skip-reconnect skip-auto-rehash skip-line-numbers one-database debug-info debug-check
    comments skip-comments columns-type-info binary-mode"""
),
                 names(
    """database execute host port socket user defaults-file defaults-extra-file default-character-set
    protocol ssl-ca ssl-cert ssl-key ssl-mode connect-timeout delimiter init-command tee pager prompt
    max-allowed-packet character-sets-dir ssl-cipher tls-version default-auth bind-address
    defaults-group-suffix login-path"""
),
                 optional="p#")  # fmt: skip


def client(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """The texts of -c or -e, the files, else the input: typed in, or known, or a doubt."""
    dialect = CLIENTS[name]
    findings = Findings(reads=[])
    options = _options(name, dialect, args, findings)
    found = {option for option, _ in options}
    if found & {"help", "version", "V", "?", "l", "list"} - ({"V", "l"} if dialect == MYSQL else set()):
        return findings
    texts = [value for option, value in options if _is_text(dialect, option) and value is not None]
    files = [value or "" for option, value in options if option in {"f", "file"} and dialect == POSTGRESQL]
    _outputs(name, options, state, findings)
    _files(name, files, state, flow, findings, texts)
    if not texts and not files:
        _input(name, flow, findings, texts)
    for text in texts:
        run_text(name, dialect, text, state.folder, findings)
    return findings


def _options(name: str, dialect: str, args: list[str], findings: Findings) -> list[tuple[str, str | None]]:
    """The options, which may stand between operands."""
    found: list[tuple[str, str | None]] = []
    rest = list(args)
    while rest:
        split = leading(_PSQL if dialect == POSTGRESQL else _MYSQL, rest)
        found += split.options
        if split.unknown is not None:
            findings.doubt = f"the option {split.unknown} of {name} is not looked through"
        rest = rest[split.first + 1 :]
    return found


def _is_text(dialect: str, option: str) -> bool:
    if dialect == POSTGRESQL:
        return option in {"c", "command"}
    return option in {"e", "execute", "init-command"}


def _outputs(name: str, options: list[tuple[str, str | None]], state: State, findings: Findings) -> None:
    for option, value in options:
        if not value:
            continue
        if option in {"defaults-file", "defaults-extra-file"}:
            findings.doubt = f"{name} can start a command by its options"
        elif option in {"o", "output", "L", "log-file", "tee"}:
            if value.lstrip().startswith("|"):
                findings.escape(value.lstrip()[1:])
            else:
                findings.writes.append(resolved(value, state.folder))
        elif option == "pager":
            findings.escape(value)


def _files(
    name: str, files: list[str], state: State, flow: Flow, findings: Findings, texts: list[str]
) -> None:
    for file in files:
        if file in {"-", "/dev/stdin"}:
            _input(name, flow, findings, texts)
            continue
        content = state.files.get(file) if known(file) else None
        if content is not None:
            texts.append(content)
            continue
        findings.reads = [*(findings.reads or []), FileRead(resolved(file, state.folder))]
        findings.sql.append(SqlText(CLIENTS[name], None))
        findings.doubt = findings.doubt or f"{name} runs a file whose text is not on the line"


def _input(name: str, flow: Flow, findings: Findings, texts: list[str]) -> None:
    if flow.stdin.rest is not None:
        texts.append(flow.stdin.rest)
    elif flow.stdin.terminal:
        findings.listens = CLIENTS[name]
        findings.sql.append(SqlText(CLIENTS[name], None, typed=True))
    else:
        findings.sql.append(SqlText(CLIENTS[name], None))
        findings.doubt = findings.doubt or f"{name} runs its input, which is not known"
