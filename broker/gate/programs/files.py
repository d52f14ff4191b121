"""Which files a program reads, as far as its arguments show."""

from __future__ import annotations

import re

from broker.gate.text import ANY, UNKNOWN, WORDS, known, names, open_ended, resolved
from broker.model.command import FileRead

_NEVER = names(
    """ls stat test [ [[ chmod chown chgrp echo printf basename dirname realpath readlink cd pushd popd
    touch mkdir rmdir rm unlink find which whereis type command id whoami groups getent systemctl
    service kill pkill pgrep ps top uptime df du lsattr chattr setfacl namei mktemp logger useradd
    usermod userdel groupadd passwd chage umount ln true false : export declare local readonly typeset
    alias unalias read set unset shift exit return let trap eval exec builtin history apropos whatis
    locate updatedb dpkg rpm apt apt-get apt-cache yum dnf snap pip pip3 npm docker podman kubectl
    journalctl hostnamectl timedatectl loginctl tree lsof fuser pwd dirs jobs complete compgen sleep seq
    yes date cal env sudo su nohup inotifywait inotifywatch access pathchk restorecon chcon matchpathcon
    semanage mountpoint findmnt trash shred truncate fallocate mkfifo mknod help bind shopt ulimit umask
    wait fg bg disown"""
)
READERS = names(
    """cat tac head tail less more most zcat zless bzcat xzcat zstdcat lz4cat nl od hexdump xxd hd strings
    cut paste join sort uniq shuf wc fold fmt pr expand unexpand column comm diff diff3 sdiff cmp
    colordiff vimdiff base64 base32 basenc base58 b2sum md5sum sha1sum sha224sum sha256sum sha384sum
    sha512sum cksum sum rev split csplit dd cp mv scp rsync tar zip gzip bzip2 xz zstd nano vi vim view
    emacs ed ex pico joe mcedit bat batcat source yq xmllint openssl gpg age rclone iconv dos2unix
    install ar cpio pax 7z 7za rar sponge tsort look ptx mapfile readarray"""
)
"""Programs of which any operand is a file they read."""
_RECURSIVE = names(
    """tar zip 7z 7za rar rg ag ack genisoimage mkisofs xorriso mksquashfs rclone restic borg duplicity
    bsdtar pax dar gtar star zpaq"""
)  # fmt: skip
_RECURSIVE_OPTION = {
    "grep": r"-[A-Za-z]*[rR]|--recursive|--dereference-recursive|--directories=recurse",
    "egrep": r"-[A-Za-z]*[rR]|--recursive",
    "fgrep": r"-[A-Za-z]*[rR]|--recursive",
    "zgrep": r"-[A-Za-z]*[rR]",
    "cp": r"-[A-Za-z]*[rRa]|--recursive|--archive",
    "scp": r"-[A-Za-z0-9]*r",
    "rsync": r"-[A-Za-z]*[ra]|--recursive|--archive",
    "diff": r"-[A-Za-z]*r|--recursive",
    "gzip": r"-[A-Za-z0-9]*r|--recursive",
    "zstd": r"-r",
    "bzip2": r"(?!)",
    "gsutil": r"-[mr]",
    "aws": r"--recursive|sync",
    "mc": r"--recursive|-r|mirror",
    "s3cmd": r"--recursive|-r|sync",
    "lftp": r"mirror",
    "docker": r"cp",
    "clamscan": r"-r",
    "sftp": r"-r",
    "chmod": r"(?!)",
}
_GREPS = names("grep egrep fgrep zgrep rg ag ack pcregrep ugrep")
_PATTERN_OPTION = re.compile(r"(?:-[A-Za-z0-9]*[ef]|--regexp|--file)(?:=.*)?\Z")
_PATH = re.compile(r"(?:file://)?(?:~|\.{0,2}/|/)[^\s\"'<>|;&(){},:=@]+")
_OPTION_VALUE = re.compile(r"(?:--?[A-Za-z][\w-]*=|-[A-Za-z]|[A-Za-z_]+=|@|[A-Za-z]+@|<|:|=)(.+)", re.DOTALL)


def file_reads(name: str, args: list[str], folder: str) -> list[FileRead]:
    """What the program may read; nothing for those that only look at names, sizes and rights."""
    if name in _NEVER:
        restored = [
            arg.partition("=")[2] for arg in args if name == "setfacl" and arg.startswith("--restore=")
        ]
        return [FileRead(resolved(path, folder)) for path in restored]
    operands = _without_pattern(args) if name in _GREPS else args
    within = name in _RECURSIVE or (
        name in _RECURSIVE_OPTION and any(re.match(rf"(?:{_RECURSIVE_OPTION[name]})", arg) for arg in args)
    )
    found: dict[FileRead, None] = {}
    for index, arg in enumerate(operands):
        if _output(name, operands, index):
            continue
        for path in _paths(name, arg):
            found[FileRead(resolved(path, folder), within)] = None
    if within and name in {"rg", "ag", "ack"} and len(operands) < 1:
        found[FileRead(folder, True)] = None
    return list(found)


def _without_pattern(args: list[str]) -> list[str]:
    """The arguments of grep that are not its pattern."""
    if any(_PATTERN_OPTION.match(arg) for arg in args):
        rest, skip = [], False
        for arg in args:
            if not skip and not re.match(r"-[A-Za-z0-9]*e|--regexp", arg):
                rest.append(arg)
            skip = bool(re.fullmatch(r"-[A-Za-z0-9]*e|--regexp", arg))
        return rest
    rest, taken = [], False
    value = False
    for arg in args:
        if value:
            value = False
            continue
        if re.fullmatch(r"-[A-Za-z]*[ABCmd]|--(?:include|exclude|exclude-dir|max-count|context)", arg):
            value = True
            rest.append(arg)
        elif not taken and not (arg.startswith("-") and arg != "-"):
            taken = True
        else:
            rest.append(arg)
    return rest


def _output(name: str, args: list[str], index: int) -> bool:
    """True for an argument that names what is written."""
    arg = args[index]
    if name == "dd":
        return arg.startswith("of=")
    if name in {"cp", "mv", "install", "scp", "rsync"} and len(args) > 1 and index == len(args) - 1:
        return not any(re.match(r"-t|--target-directory", other) for other in args)
    if name in {"tar", "gtar", "bsdtar"}:
        return _archive(args, index)
    if name in {"zip", "7z", "7za", "rar", "ar"}:
        plain = [at for at, other in enumerate(args) if other == "-" or not other.startswith("-")]
        first = plain[:1] if name == "zip" else plain[:2]
        return index in first
    if name in {"tee", "sponge"}:
        return True
    return index > 0 and args[index - 1] in {"-o", "--output", "-O", "--output-document"} and name != "ssh"


def _archive(args: list[str], index: int) -> bool:
    """The archive, where one is made; when it is read, tar reads the archive."""
    joined = args[0] if args else ""
    made = bool(re.match(r"-?[a-zA-Z]*[cru]", joined)) or any(
        re.fullmatch(r"-[a-zA-Z]*[cru][a-zA-Z]*|--create|--append|--update", a) for a in args
    )
    if not made:
        return False
    if index == 0 and re.fullmatch(r"[a-zA-Z]+", joined):
        return True
    before = args[index - 1] if index else ""
    return bool(re.fullmatch(r"-?[a-zA-Z]*f|--file", before)) or args[index].startswith("--file=")


def _paths(name: str, arg: str) -> list[str]:
    """The paths that an argument may hold."""
    if arg in {"", "-", "--"}:
        return []
    if not known(arg):
        return _partly(name, arg)
    if arg.startswith("-"):
        match = _OPTION_VALUE.match(arg)
        return [match[1]] if match else []
    found = [arg]
    match = _OPTION_VALUE.match(arg)
    if match:
        found.append(match[1])
    if "/" in arg and arg.strip("/"):
        found += _PATH.findall(arg)
    return found


def _partly(name: str, arg: str) -> list[str]:
    """A path that is not wholly known counts if it has a known part, or if the program surely reads it."""
    if not open_ended(arg):
        return [arg]
    if arg.startswith("-") and WORDS not in arg:
        return []
    bare = "".join(char for char in arg if char not in UNKNOWN)
    if name in READERS or (bare.startswith(("/", "~")) and len(bare) > 1):
        return [arg.replace(WORDS, ANY)]
    return []
