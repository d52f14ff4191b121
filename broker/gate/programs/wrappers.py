"""Programs whose purpose is to run the command they are given."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace

from broker.gate.programs.findings import ASSIGNMENT, Findings, Options, Split, leading
from broker.gate.shell.run import Flow
from broker.gate.shell.state import State
from broker.gate.text import WORDS, known, names, resolved
from broker.model.command import Deed, FileRead


@dataclass(frozen=True, slots=True)
class Wrapper:
    """`operands` words stand before the command. `starts_shell`: without a command it starts a shell.
    `joined`: the words are joined and given to a shell."""

    options: Options
    operands: int = 0
    assignments: bool = False
    starts_shell: bool = False
    quiet: tuple[str, ...] = ()
    """With one of these it runs nothing."""
    escapes: bool = False
    """Starting an own command is not its purpose."""
    joined: bool = False


def _w(
    flags: str = "",
    valued: str = "",
    long_flags: str = "",
    long_valued: str = "",
    *,
    operands: int = 0,
    assignments: bool = False,
    starts_shell: bool = False,
    quiet: str = "",
    escapes: bool = False,
    joined: bool = False,
    optional: str = "",
) -> Wrapper:
    options = Options(flags, valued, names(long_flags + " help version"), names(long_valued), optional)
    silent = tuple((quiet + " help version").split())
    return Wrapper(options, operands, assignments, starts_shell, silent, escapes, joined)


_SUDO = _w(
    "ABbEeHiKklnNPSsVv", "CDghpRrTtUu",
    "askpass background bell preserve-env edit set-home login reset-timestamp remove-timestamp list "
    "non-interactive no-update preserve-groups stdin shell validate",
    "close-from chdir group host prompt chroot role command-timeout type other-user user preserve-env",
    assignments=True, quiet="l list v validate K k V remove-timestamp reset-timestamp",
)  # fmt: skip
_ARCH = _w(
    "vRFBXZLSIT3h",
    "p",
    "verbose addr-no-randomize fdpic-funcptrs mmap-page-zero addr-compat-layout "
    "read-implies-exec 32bit short-inode whole-seconds sticky-timeouts 3gb 4gb uname-2.6 list",
    "pid",
    starts_shell=True,
)
_SETARCH = replace(_ARCH, operands=1)

WRAPPERS: dict[str, Wrapper] = {
    "sudo": _SUDO,
    "doas": _w("nsL", "uCa", quiet="L"),
    "gosu": _w(operands=1),
    "su-exec": _w(operands=1),
    "pkexec": _w("", "u", "disable-internal-agent keep-cwd", "user", starts_shell=True),
    "run0": _w(
        "",
        "uDg",
        "no-ask-password pipe pty background lightdm",
        "user group unit property description slice nice chdir setenv background machine shell-prompt-prefix",
        starts_shell=True,
    ),
    "setpriv": _w(
        "d",
        "",
        "dump clear-groups keep-groups init-groups no-new-privs nnp reset-env",
        "ambient-caps inh-caps bounding-set groups pdeathsig regid rgid ruid reuid euid egid "
        "securebits selinux-label apparmor-profile landlock-access landlock-rule",
    ),
    "nohup": _w(),
    "nice": _w("0123456789", "n", "", "adjustment"),
    "ionice": _w("t", "cnpPu", "ignore", "class classdata pid"),
    "chrt": _w(
        "abdfiomrRGv",
        "TPDp",
        "all-tasks batch deadline fifo idle max other reset-on-fork rr verbose ext",
        "sched-runtime sched-period sched-deadline pid",
        operands=1,
    ),
    "taskset": _w("acp", "", "all-tasks cpu-list pid", operands=1),
    "timeout": _w("vfp", "ks", "foreground preserve-status verbose", "kill-after signal", operands=1),
    "setsid": _w("cfw", "", "ctty fork wait"),
    "stdbuf": _w("", "ioe", "", "input output error"),
    "time": _w("apvqlh", "fo", "append portability verbose quiet", "format output"),
    "prlimit": _w(
        "v",
        "po",
        (
            "noheadings raw verbose as core cpu data fsize locks memlock msgqueue nice nofile "
            "nproc rss rtprio rttime sigpending stack"
        ),
        "pid output",
        optional="cdefilmnqrstuvxy",
    ),
    "choom": _w("", "np", "", "adjust pid"),
    "eatmydata": _w(),
    "chronic": _w("ve"),
    "torsocks": _w("diqu", "uapP", "shell isolate quiet", "user pass address port"),
    "torify": _w("v"),
    "tsocks": _w(),
    "proxychains": _w("q", "f"),
    "proxychains4": _w("q", "f"),
    "ltrace": _w("bcCfhiLrStTVN", "aADeFlnopsuxwX", "demangle indent", "output where"),
    "strace": _w(
        "cCdfFhiknqrtTvVwxyYzZ",
        "abeEIopPsSuUX",
        "follow-forks summary summary-only decode-fds output-separately syscall-times seccomp-bpf",
        "output attach trace string-limit user env",
    ),
    "valgrind": _w(
        "qvh",
        "",
        "quiet verbose trace-children track-fds",
        "tool leak-check log-file xml-file "
        "suppressions vgdb num-callers track-origins trace-children error-exitcode show-leak-kinds",
    ),
    "rlwrap": _w("acinNorRsTvxzA", "bCDefgHlmMOpPqStw", "always-readline", "history-filename"),
    "numactl": _w(
        "alsSHh",
        "ipPmNCb",
        "all localalloc hardware show",
        "interleave preferred membind cpunodebind physcpubind",
    ),
    "cpulimit": _w("bqzimvhk", "lpeP", "background quiet lazy", "limit"),
    "faketime": _w("mp", "f", operands=1),
    "fakeroot": _w("uh", "lsibfd", "unknown-is-real", "lib faked save load", starts_shell=True),
    "fakechroot": _w("sh", "lde", "", "lib"),
    "dbus-run-session": _w("", "", "", "dbus-daemon config-file"),
    "dbus-launch": _w(
        "",
        "",
        "sh-syntax csh-syntax auto-syntax exit-with-session exit-with-x11 close-stderr",
        "autolaunch config-file",
    ),
    "aa-exec": _w("div", "pn", "debug immediate verbose", "profile namespace"),
    "unbuffer": _w("p"),
    "xvfb-run": _w(
        "al",
        "efnpsw",
        "auto-servernum listen-tcp",
        "auth-file error-file server-num xauth-protocol server-args wait",
    ),
    "catchsegv": _w(),
    "softlimit": _w("", "acdfhlmnopqrst"),
    "chpst": _w("vP012", "uUbe/nlLmdofprtcC"),
    "setuidgid": _w("", "", operands=1),
    "envuidgid": _w("", "", operands=1),
    "envdir": _w("i", "", operands=1),
    "setlock": _w("nNxX", "", operands=1),
    "systemd-inhibit": _w("l", "", "list no-pager no-legend", "what who why mode"),
    "systemd-cat": _w("", "tpn", "", "identifier priority stderr-priority level-prefix namespace"),
    "cgexec": _w("", "g", "sticky", ""),
    "runcon": _w("c", "utrl", "compute", "user role type range", operands=1),
    "logsave": _w("asv", "", operands=1),
    "daemonize": _w("av", "ceEolpu"),
    "daemon": _w(
        "iIfvdhCBUSr",
        "nXPpDFuMLAOoleEN",
        "inherit respawn foreground",
        "name command chdir output stdout stderr pidfile user",
    ),
    "multitime": _w("lqr", "fIions"),
    "hyperfine": _w(
        "iN",
        "wmMrpcsSnuLt",
        "ignore-failure show-output",
        "warmup runs prepare setup cleanup shell export-json export-markdown parameter-list",
        joined=True,
    ),
    "perf": _w("", "", operands=1),
    "gcore": _w("", "o"),
    "sem": _w("", "jPu", "fg bg wait", "id jobs timeout"),
    "nsexec": _w("", ""),
    "ts-node": _w("", ""),
    "linux32": _ARCH,
    "linux64": _ARCH,
    "i386": _ARCH,
    "x86_64": _ARCH,
    "setarch": _SETARCH,
    "chroot": _w("", "", "skip-chdir", "userspec groups", operands=1, starts_shell=True),
    "nsenter": _w(
        "aFZec",
        "tSGW",
        "all no-fork preserve-credentials follow-context env join-cgroup keep-caps",
        "target setuid setgid wdns",
        starts_shell=True,
        optional="muinpCUTrw",
    ),
    "unshare": _w(
        "frckuZ",
        "RSGwl",
        "fork map-root-user map-current-user map-auto keep-caps mount-proc setgroups",
        (
            "root wd setuid setgid propagation map-user map-group map-users map-groups load-interp "
            "monotonic boottime"
        ),
        starts_shell=True,
        optional="muinpCUT",
    ),
    "bwrap": _w(
        "",
        "",
        (
            "unshare-all unshare-user unshare-pid unshare-net unshare-ipc unshare-uts die-with-parent "
            "new-session as-pid-1 share-net clearenv"
        ),
        "uid gid hostname chdir unsetenv proc dev tmpfs dir lock-file remount-ro",
    ),
    "firejail": _w("", "", "quiet noprofile private net seccomp shell", "profile name"),
    "proot": _w("0hvV", "rbqwik", "kill-on-exit link2symlink", "rootfs bind qemu cwd", starts_shell=True),
    "schroot": _w("pqv", "cnsupd", "preserve-environment", "chroot user directory shell", starts_shell=True),
    "systemd-run": _w(
        "dGPqrSt",
        "EHMpu",
        "scope remain-after-exit send-sighup no-block wait collect quiet pty pipe shell "
        "user system same-dir no-ask-password slice-inherit ignore-failure",
        "unit property description slice service-type uid gid nice working-directory setenv "
        "machine host on-active on-boot on-calendar on-startup on-unit-active path-property timer-property",
    ),
    "flock": _w(
        "nesxuoFv",
        "wE",
        "nonblock exclusive shared unlock close no-fork verbose nb",
        "timeout wait conflict-exit-code",
        operands=1,
    ),
    "grc": _w("es", "c", "stderr stdout pty colour config"),
    "ts": _w(),
    "sshpass": _w("evVh", "fdpP"),
    "annotate-output": _w("h"),
    "dumb-init": _w("cv", "r", "single-child verbose", "rewrite"),
    "tini": _w("sgvwlh", "pe"),
    "catatonit": _w("gP"),
    "uftrace": _w("", "", operands=1),
    "runsv": _w(),
    "linux-user-chroot": _w("", "", operands=1),
    "trickle": _w("s", "dutlLwWnp"),
    "nocache": _w("", "n"),
    "nocorrect": _w(),
    "noglob": _w(),
    "detach": _w(),
    "start": _w(),
    "ssh-agent": _w("acDdks", "EOPt"),
    "msgfilter": _w(
        "hiPEFsnV",
        "dDioNwp",
        (
            "no-escape escape indent strict no-wrap sort-output sort-by-file keep-header newline "
            "properties-input"
        ),
        "input output-file directory",
        escapes=True,
    ),
    "openvt": _w("eflsuvw", "c", "exec force login switch user verbose wait", "console", escapes=True),
    "dtach": _w("", "", operands=2, escapes=True),
    "sg": _w(operands=1, starts_shell=True),
    "newgrp": _w(operands=1, starts_shell=True),
    "ld.so": _w(
        "",
        "",
        "list verify inhibit-cache",
        "library-path inhibit-rpath audit preload argv0 glibc-hwcaps-mask glibc-hwcaps-prepend",
    ),
}
"""Facts from the programs' manuals. What is not listed makes the command a doubt."""

_LOADER = re.compile(r"ld(?:-linux[^/]*|-musl[^/]*|64|-[0-9.]+)?\.so(?:\.[0-9]+)?\Z")


def wrapper_of(name: str) -> Wrapper | None:
    """The wrapper with that name; the dynamic loader has many."""
    return WRAPPERS.get("ld.so" if _LOADER.match(name) else name)


def unwrap(name: str, wrapper: Wrapper, args: list[str], state: State, flow: Flow) -> Findings:
    """The command inside."""
    findings = Findings(reads=[], captures=True)
    if wrapper.escapes:
        findings.does.add(Deed.SHELL)
    if name == "dtach":
        return _dtach(args, flow, findings)
    if name == "bwrap":
        args = _without_binds(args)
    split = leading(wrapper.options, args)
    if split.unknown is not None:
        findings.doubt = f"the option {split.unknown} of {name} is not looked through"
    if split.has(*wrapper.quiet) and not (
        name == "sudo" and split.has("u", "user") and not split.has("l", "v")
    ):
        return findings
    if name in {"taskset", "chrt", "ionice", "prlimit"} and split.has("p", "pid"):
        return findings
    findings.reads = [
        FileRead(resolved(value, state.folder)) for _, value in split.options if value and "/" in value
    ]
    at = _begins(name, wrapper, args, split)
    if any(WORDS in word for word in args[:at]):
        findings.doubt = f"what {name} runs is not known"
    at = _assignments(wrapper, args, at, findings)
    inner = args[at:]
    if name == "sudo" and split.has("e", "edit"):
        findings.reads = [FileRead(resolved(arg, state.folder)) for arg in inner]
        return findings
    if name == "flock" and inner[:1] in (["-c"], ["--command"]):
        findings.texts.append((" ".join(inner[1:2]), flow.stdin))
        return findings
    _inner(name, wrapper, inner, split.has("i", "login", "s", "shell", "S"), flow, findings)
    return findings


def _begins(name: str, wrapper: Wrapper, args: list[str], split: Split) -> int:
    """The place of the command, behind options and the wrapper's own operands."""
    at = split.first + (0 if name == "runcon" and split.options else wrapper.operands)
    if wrapper.operands and args[split.first + wrapper.operands :][:1] == ["--"]:
        at += 1
    if name == "timeout" and args[split.first : split.first + 1] == ["--"]:
        at += 1
    if name == "setarch":  # its options stand behind the architecture
        at = leading(wrapper.options, args, at).first
    return at


_BINDS = re.compile(r"--(?:(?:dev-|ro-)?bind(?:-try|-data)?|symlink|setenv|file|chmod|overlay-src)\Z")


def _without_binds(args: list[str]) -> list[str]:
    """bwrap's arguments without the options that take two words."""
    out: list[str] = []
    at = 0
    while at < len(args) and args[at].startswith("--"):
        step = 3 if _BINDS.match(args[at]) else 1
        out += args[at : at + step] if step == 1 else []
        at += step
        if step == 1 and at < len(args) and not args[at].startswith("-"):
            out.append(args[at])
            at += 1
            if args[at - 2].lstrip("-") not in WRAPPERS["bwrap"].options.long_valued:
                return [*out, *args[at:]]
    return out + args[at:]


def _inner(
    name: str, wrapper: Wrapper, inner: list[str], wants_shell: bool, flow: Flow, findings: Findings
) -> None:
    if name == "rlwrap" and inner[:1] == ["-c"]:
        inner = inner[1:]
    if name in {"sg"} and inner[:1] == ["-c"]:
        findings.texts.append((" ".join(inner[1:]), flow.stdin))
    elif inner and wrapper.joined:
        findings.texts += [(text, flow.stdin) for text in inner]
    elif inner:
        findings.run(inner, flow.stdin)
    elif wrapper.starts_shell or wants_shell:
        findings.shell(name, flow)


def _assignments(wrapper: Wrapper, args: list[str], at: int, findings: Findings) -> int:
    while wrapper.assignments and at < len(args) and ASSIGNMENT.match(args[at]):
        findings.assigns.append(args[at])
        at += 1
    return at


def _dtach(args: list[str], flow: Flow, findings: Findings) -> Findings:
    rest = args[2:]
    while rest and re.match(r"-[EezrR]", rest[0]):
        rest = rest[2 if rest[0] in {"-e", "-r"} else 1 :]
    findings.run(rest, flow.stdin)
    return findings


_ENV = Options("i0v", "uCSa", names("ignore-environment null debug list-signal-handling help version"),
               names("unset chdir split-string argv0 block-signal default-signal ignore-signal"))  # fmt: skip


def env(args: list[str], state: State, flow: Flow) -> Findings:
    """`env`, with the words of `-S`, which are read again."""
    findings = Findings(reads=[], captures=True)
    for _ in range(20):
        if args[:1] == ["-"]:
            args = ["-i", *args[1:]]
        split = leading(_ENV, args)
        strings = split.values("S", "split-string")
        if not strings:
            break
        inner, text = args[split.first :], strings[-1]
        if not known(text) or "$" in text:
            findings.doubt = "the words that env splits are not known"
        try:
            args = [*shlex.split(re.sub(r"\\[_c]", " ", text)), *inner]
        except ValueError:
            findings.doubt = "the words that env splits are not known"
            return findings
    if split.unknown is not None:
        findings.doubt = f"the option {split.unknown} of env is not looked through"
    at = split.first
    while at < len(args) and (ASSIGNMENT.match(args[at]) or (at == split.first and args[at] == "-")):
        if "=" in args[at]:
            findings.assigns.append(args[at])
        at += 1
    findings.run(args[at:], flow.stdin)
    return findings


_SU = Options("mpPlf", "cgGsTw", names("login preserve-environment pty fast help version"),
              names("command session-command group supp-group shell whitelist-environment"))  # fmt: skip


def su(name: str, args: list[str], state: State, flow: Flow) -> Findings:
    """`su` and `runuser`, whose options may stand behind the user."""
    findings = Findings(reads=[], captures=True)
    options, operands = _su_arguments(name, args, findings)
    given = {option for option, _ in options}
    texts = [value for option, value in options if option in _SU_TEXTS and value]
    if {"help", "version"} & given:
        return findings
    if name == "runuser" and {"u", "user"} & given:
        findings.run(operands, flow.stdin)
    elif texts:
        findings.texts += [(text, flow.stdin) for text in texts]
    elif len(operands) > 1:
        findings.run(["sh", *operands[1:]], flow.stdin)
    else:
        findings.shell(name, flow)
    return findings


_SU_TEXTS = frozenset({"c", "command", "session-command"})


def _su_arguments(
    name: str, args: list[str], findings: Findings
) -> tuple[list[tuple[str, str | None]], list[str]]:
    """The options, wherever they stand, and the rest. `runuser -u` ends them at the command."""
    spec = replace(_SU, valued=_SU.valued + "u", long_valued=_SU.long_valued | {"user"})
    spec = spec if name == "runuser" else _SU
    options: list[tuple[str, str | None]] = []
    operands: list[str] = []
    rest = list(args)
    while rest:
        if not rest[0].startswith("-") or rest[0] == "-":
            if rest[0] == "-":
                options.append(("l", None))
            else:
                operands.append(rest[0])
            rest = rest[1:]
            continue
        split = leading(spec, rest)
        options += split.options
        if split.unknown is not None:
            findings.doubt = f"the option {split.unknown} of {name} is not looked through"
        ended = "--" in rest[: split.first]
        rest = rest[split.first :]
        if ended or (name == "runuser" and any(option in {"u", "user"} for option, _ in options)):
            return options, operands + rest
    return options, operands
