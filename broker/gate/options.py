"""Options and operands among the arguments of a program, in any spelling."""

from __future__ import annotations

import re

from broker.gate.text import ANY, WORDS, Match, known, matches, open_ended

_VALUED: dict[str, str] = {
    "systemctl": (
        "-H -M -p -P -t -s -n -o --host --machine --property --type --state --signal --kill-whom "
        "--kill-who --lines "
        "--output --root --job-mode --message --preset-mode --what --when --check-inhibitors "
        "--image --boot-loader-entry"
    ),
    "journalctl": (
        "-u -n -p -S -U -o -t -g -D -M -b -c -F --unit --lines --priority --since --until "
        "--output --identifier --grep"
    ),
    "apt": "-o -c -t -a --option --config-file --target-release --default-release",
    "apt-get": "-o -c -t -a --option --config-file --target-release --default-release",
    "aptitude": "-o -t -w -F -O -q --target-release",
    "yum": "-c -x -R -d -e --config --enablerepo --disablerepo --exclude --installroot --releasever --setopt",
    "dnf": (
        "-c -x -R -d -e --config --enablerepo --disablerepo --exclude --installroot --releasever "
        "--setopt --repo --repoid"
    ),
    "microdnf": "-c --config --enablerepo --disablerepo --installroot --releasever --setopt",
    "zypper": "-c -R -D --config --root --reposd-dir --cache-dir --gpg-auto-import-keys_",
    "pipx": "--python --pip-args --suffix --index-url",
    "poetry": "-C -P --directory --project",
    "apk": "-X -p --repository --root --arch --keys-dir --cache-dir --wait --timeout",
    "pip": (
        "--log --proxy --timeout --retries --cert --client-cert --cache-dir --python --trusted-host "
        "--exists-action -i --index-url"
    ),
    "npm": "--prefix -C --registry --workspace -w --userconfig --cache --loglevel",
    "yarn": "--cwd --modules-folder --cache-folder --registry",
    "pnpm": "-C --dir --filter -F --prefix",
    "git": "-C -c --git-dir --work-tree --namespace --exec-path",
    "cargo": "--config -Z --color --manifest-path -C",
    "go": "-C -p -tags -mod -modfile -ldflags -gcflags",
    "gem": (
        "--config-file -n -v -i -P -s -p -B -g --version --install-dir --bindir --platform --source "
        "--document --build-root --trust-policy --http-proxy --file --target-rbconfig"
    ),
    "conda": "-n -p --name --prefix",
    "docker": "-H -l -c --host --context --config --log-level",
    "kubectl": "-n -s --namespace --context --cluster --user --server",
    "snap": "--color",
    "flatpak": "--installation --arch",
    "brew": "",
    "init": "-t",
    "telinit": "-t",
    "openssl": "",
    "service": "",
}
_VALUED_SETS = {name: frozenset(text.split()) for name, text in _VALUED.items()}
_VALUED_SETS["pip3"] = _VALUED_SETS["pip"]


def given(option: str, args: tuple[str, ...]) -> Match:
    """Whether an option is among the arguments: `-r|-R|--recursive`. Short ones may stand in a cluster, long
    ones be shortened or carry a value."""
    best = Match.NO
    for arg in args:
        if arg == "--":
            break
        best = max([best, *(_is(name, arg) for name in option.split("|"))])
    return best


def _is(name: str, arg: str) -> Match:
    if name.startswith("--"):
        return _long(name, arg)
    if re.fullmatch(r"-[A-Za-z0-9?#]", name):
        return _short(name[1], arg)
    head = arg.partition("=")[0]
    if head == name:
        return Match.YES
    return Match.PERHAPS if _could_be_option(arg) else Match.NO


def _long(name: str, arg: str) -> Match:
    head = arg.partition("=")[0]
    if known(head):
        return Match.YES if len(head) > 2 and name.startswith(head) else Match.NO
    return Match.PERHAPS if matches(name, head) or _could_be_option(arg) else Match.NO


def _short(letter: str, arg: str) -> Match:
    if re.match(r"-[^-]", arg):
        cluster = arg[1:]
        if letter in re.split(f"[{ANY}{WORDS}]", cluster)[0]:
            return Match.YES
        return Match.PERHAPS if open_ended(cluster) else Match.NO
    return Match.PERHAPS if _could_be_option(arg) else Match.NO


def _could_be_option(arg: str) -> bool:
    """True if the argument, as far as it is known, may begin with a dash, or end and be followed by one."""
    return WORDS in arg or arg[:1] == ANY or (arg[:1] == "-" and open_ended(arg[:2]))


def operands(args: tuple[str, ...]) -> list[str]:
    """The arguments that are no options; all of them behind `--`."""
    found, plain = [], False
    for arg in args:
        if plain or not arg.startswith("-") or arg == "-":
            found.append(arg)
        elif arg == "--":
            plain = True
    return found


def perhaps_verbs(program: str, args: tuple[str, ...]) -> list[str]:
    """More operands that may be the first, where a short option in front could take a value after all."""
    valued = _VALUED_SETS.get(program)
    if valued is None:
        return []
    for at, arg in enumerate(args):
        if not re.match(r"-.", arg) or arg == "--":
            return []
        unsure = re.fullmatch(r"-[A-Za-z]", arg) and arg not in valued and at + 1 < len(args)
        if unsure and not args[at + 1].startswith("-"):
            return verbs(program, args[at + 2 :])
    return []


def verbs(program: str, args: tuple[str, ...]) -> list[str]:
    """The operands that may be the first: more than one where it is not known whether an option before
    takes a value."""
    valued = _VALUED_SETS.get(program)
    found: list[str] = []
    at = 0
    while at < len(args):
        arg = args[at]
        at += 1
        if arg == "--":
            found += args[at : at + 1]
            break
        if re.match(r"[-+].", arg) and not (arg[0] == "+" and program != "cargo"):
            if valued is not None and arg in valued:
                at += 1
            elif valued is None and arg.startswith("-") and "=" not in arg and at < len(args):
                follower = args[at]
                if not follower.startswith("-"):
                    found.append(follower)
                    at += 1
            elif arg.startswith("--") and "=" not in arg and at < len(args) and not args[at].startswith("-"):
                found.append(args[at])
            continue
        found.append(arg)
        break
    return found
