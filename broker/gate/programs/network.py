"""Programs that send a file, or their input, to another host, or serve files."""

from __future__ import annotations

import re
from collections.abc import Callable

from broker.gate.programs.findings import asks_only
from broker.gate.shell.run import Flow
from broker.gate.text import names, open_ended

_ALWAYS = names(
    """scp sftp ftp lftp tftp smbclient psftp pscp ncftp ncftpput ncftpget tnftp yafc cadaver rcp rsh
    rlogin uucp uux sshfs curlftpfs davfs2 mount.davfs gnutls-cli cryptcat sbd pwncat rustcat rcat wput
    bpaste dpaste croc ffsend wormhole magic-wormhole transfer wetransfer onionshare onionshare-cli sz
    rz kermit sendmail mpack telnet atftp lftpget ftpput zssh zmodem webfsd thttpd darkhttpd lighttpd
    busybox-httpd ngrok cloudflared bore localtunnel lt frpc chisel rsyncd proftpd vsftpd pure-ftpd smbd
    dufs miniserve goshs updog uploadserver http-server live-server caddy simple-http-server"""
)
_REMOTE = re.compile(r"(?:[^/\s:]+@)?[A-Za-z0-9_.\[\]\ufdd0\ufdd1-]+::?|rsync://")
_URLISH = re.compile(r"(?:s3|gs|az|oss|cos|b2|obs|swift)://")


def sends(name: str, args: list[str], flow: Flow) -> bool | None:
    """True if it does, None if that cannot be known."""
    if asks_only(args):
        return False
    if name in _ALWAYS:
        return True
    handler = _HANDLERS.get(name)
    found = handler(args, flow) if handler else False
    return _by_words(name, args) if found is not True and flow.content and name in _CARRIES else found


_RESOLVERS = names(
    "dig host nslookup drill kdig dog delv ping ping6 fping traceroute tracepath mtr whois finger"
)
_CARRIES = _RESOLVERS | names("curl wget wget2 http https xh aria2c lynx w3m links elinks logger ssh git")
"""What stands in their words goes to another host."""
_CURL_SENDS = re.compile(r"-(?!-)[a-zA-Z#]*?[dF]|--(?:data|json|form|url-query|post-data|body-data)")


def _by_words(name: str, args: list[str]) -> bool | None:
    """Some word holds what a file holds: sent as a name to look up or as data; or perhaps only a version or a
    token in an address or a header."""
    if name in _RESOLVERS:
        return any(open_ended(arg) for arg in args) or None
    for index, arg in enumerate(args):
        before = args[index - 1] if index else ""
        if open_ended(arg) and (_CURL_SENDS.match(arg) or _CURL_SENDS.match(before)):
            return True
    return None


def _fed(flow: Flow) -> bool:
    return not flow.stdin.terminal and flow.stdin.text != ""


def _netcat(args: list[str], flow: Flow) -> bool | None:
    if any(re.fullmatch(r"-[A-Za-z0-9]*z[A-Za-z0-9]*", arg) for arg in args):
        return False
    return not (asks_only(args) or not args)


def _socat(args: list[str], flow: Flow) -> bool | None:
    return not all(arg in {"-h", "-hh", "-hhh", "-?", "-V"} for arg in args)


_CURL = re.compile(
    r"(?:(?P<up>-[a-zA-Z#]*?T|--upload-file(?==|\Z))|(?P<form>-[a-zA-Z#]*?F|--form(?==|\Z))"
    r"|(?P<url>--data-urlencode(?==|\Z)|--url-query(?==|\Z)|--variable(?==|\Z))"
    r"|(?P<data>-(?!-)[a-zA-Z#]*?d|--data(?:-binary|-ascii)?(?==|\Z)|--json(?==|\Z))"
    r"|(?P<conf>-[a-zA-Z#]*?K|--config(?==|\Z)))(?:=?(?P<value>.*))\Z",
    re.DOTALL,
)


def _curl(args: list[str], flow: Flow) -> bool | None:
    doubt = False
    for index, arg in enumerate(args):
        match = _CURL.match(arg)
        if match is None:
            continue
        text = match["value"] or (args[index + 1] if index + 1 < len(args) else "")
        if match["up"] and text:
            return True
        if match["form"] and re.search(r"=[@<]|^@", text):
            return True
        if match["data"] and text.startswith("@"):
            return True
        if match["url"] and re.match(r"[A-Za-z0-9_.]*@", text):
            return True
        doubt = doubt or bool(match["conf"]) or text.startswith(("\ufdd0", "\ufdd1"))
    return None if doubt or any("\ufdd1" in arg for arg in args[:-1] if arg[:1] == "\ufdd1") else False


def _wget(args: list[str], flow: Flow) -> bool | None:
    return any(re.match(r"--(?:post-file|body-file|post-f|body-f)", arg) for arg in args)


def _rsync(args: list[str], flow: Flow) -> bool | None:
    if "--daemon" in args or any(_REMOTE.match(arg) for arg in args if not arg.startswith("-")):
        return True
    return None if any(open_ended(arg) for arg in args) else False


def _openssl(args: list[str], flow: Flow) -> bool | None:
    return bool(args) and args[0] in {"s_client", "s_server", "s_time"} and "-help" not in args


def _cloud(args: list[str], flow: Flow) -> bool | None:
    """Copies with a bucket as the last place."""
    words = [arg for arg in args if not arg.startswith("-")]
    if words[:1] in (["s3"], ["storage"], ["blob"]):
        words = words[1:]
    acts = {
        "upload-file",
        "cp",
        "mv",
        "sync",
        "rsync",
        "put",
        "upload",
        "upload-batch",
        "put-object",
        "copy",
        "copyto",
        "move",
        "rcat",
        "mirror",
        "pipe",
        "moveto",
    }
    if not acts & set(words[:3]):
        return False
    target = words[-1]
    return (
        bool(_URLISH.match(target))
        or open_ended(target)
        or bool(
            {"put", "upload", "put-object", "mirror", "rcat", "pipe", "upload-batch", "upload-file"}
            & set(words[:3])
        )
    )


def _minio(args: list[str], flow: Flow) -> bool | None:
    words = [arg for arg in args if not arg.startswith("-")]
    return bool(words) and words[0] in {"cp", "mv", "mirror", "pipe", "put"}


def _rclone(args: list[str], flow: Flow) -> bool | None:
    if any(arg in {"serve", "rcd", "rcat", "mount"} for arg in args):
        return True
    return any(re.match(r"[A-Za-z0-9_.-]+:|:[a-z0-9]+", arg) for arg in args if not arg.startswith("-"))


def _mail(args: list[str], flow: Flow) -> bool | None:
    if any(re.match(r"-[aA]|--attach|-i", arg) for arg in args) or _fed(flow):
        return any("@" in arg for arg in args) or any(re.match(r"-[aA]|--attach", arg) for arg in args)
    return False


def _print(args: list[str], flow: Flow) -> bool | None:
    return any(re.match(r"-[hHP]", arg) for arg in args)


def _busybox_httpd(args: list[str], flow: Flow) -> bool | None:
    return True


def _tar(args: list[str], flow: Flow) -> bool | None:
    if "--force-local" in args:
        return False
    for index, arg in enumerate(args):
        before = args[index - 1] if index else ""
        if re.fullmatch(r"-?[a-zA-Z]*f|--file", before) and re.match(r"[^/]+:", arg):
            return True
        if re.match(r"--file=[^/]+:", arg):
            return True
    return False


def _verbs(*wanted: str) -> Callable[[list[str], Flow], bool | None]:
    return lambda args, flow: any(word in args[:4] for word in wanted)


def _pairs(*wanted: tuple[str, str]) -> Callable[[list[str], Flow], bool | None]:
    return lambda args, flow: any(pair[0] in args and pair[1] in args for pair in wanted)


def _sent_words(args: list[str], flow: Flow) -> bool | None:
    """What it is asked is sent as it is: perhaps the content of a file."""
    return None if any(open_ended(arg) for arg in args) else _fed(flow)


def _fed_host(args: list[str], flow: Flow) -> bool | None:
    return _fed(flow)


_HANDLERS: dict[str, Callable[[list[str], Flow], bool | None]] = {
    "nc": _netcat,
    "ncat": _netcat,
    "netcat": _netcat,
    "nc.openbsd": _netcat,
    "nc.traditional": _netcat,
    "socat": _socat,
    "curl": _curl,
    "wget": _wget,
    "wget2": _wget,
    "rsync": _rsync,
    "openssl": _openssl,
    "aws": _cloud,
    "gsutil": _cloud,
    "az": _cloud,
    "gcloud": _cloud,
    "s3cmd": _cloud,
    "s4cmd": _cloud,
    "s5cmd": _cloud,
    "ossutil": _cloud,
    "coscmd": _cloud,
    "b2": _cloud,
    "mc": _minio,
    "mcli": _minio,
    "rclone": _rclone,
    "mail": _mail,
    "mailx": _mail,
    "mutt": _mail,
    "neomutt": _mail,
    "s-nail": _mail,
    "msmtp": _fed_host,
    "ssmtp": _fed_host,
    "swaks": lambda args, flow: True,
    "lp": _print,
    "lpr": _print,
    "cancel": _print,
    "httpd": _busybox_httpd,
    "tar": _tar,
    "cpio": lambda args, flow: any(
        re.match(r"-[a-zA-Z]*F?[^/]*:|--file=[^/]*:", a) for a in args if ":" in a
    ),
    "code": _verbs("tunnel", "serve-web"),
    "tailscale": _verbs("serve", "funnel", "file"),
    "restic": _verbs("backup"),
    "borg": _verbs("create", "serve"),
    "gh": _pairs(("release", "upload"), ("gist", "create"), ("release", "create")),
    "glab": _pairs(("snippet", "create")),
    "whois": _sent_words,
    "finger": _sent_words,
    "gdrive": _verbs("upload", "files"),
    "ipfs": _verbs("add", "daemon"),
    "magic": lambda args, flow: True,
    "git": _verbs("daemon", "send-email", "instaweb"),
    "xh": lambda args, flow: _fed(flow) or any(re.search(r"[@]/?\w", a) for a in args[1:]),
    "http": lambda args, flow: (
        _fed(flow) or any(re.search(r"\w@\S|^@", a) for a in args[1:] if "://" not in a)
    ),
    "https": lambda args, flow: _fed(flow),
    "bitsadmin": lambda args, flow: True,
    "duplicity": lambda args, flow: any("://" in a for a in args),
    "hg": _verbs("serve"),
    "jupyter": _verbs("notebook", "lab", "server"),
    "serve": lambda args, flow: True,
    "websocat": lambda args, flow: True,
    "mosquitto_pub": lambda args, flow: True,
    "nmap": lambda args, flow: any("http-put" in a for a in args),
    "pastebinit": lambda args, flow: True,
    "termbin": lambda args, flow: True,
    "dropbox_uploader.sh": _verbs("upload"),
    "dropbox_uploader": _verbs("upload"),
    "scrcpy": lambda args, flow: False,
    "logger": lambda args, flow: (
        any(re.match(r"-n|--server", a) for a in args)
        and (_fed(flow) or any(re.match(r"-f|--file", a) for a in args))
    ),
    "dig": lambda args, flow: any(re.match(r"-f", a) for a in args) and any(a.startswith("@") for a in args),
    "vncviewer": lambda args, flow: False,
    "svn": _verbs("import"),
    "twine": _verbs("upload"),
    "npm": _verbs("publish"),
    "cargo": _verbs("publish"),
    "gem": _verbs("push"),
    "docker": lambda args, flow: False,
    "ansible": lambda args, flow: any(a in {"copy", "synchronize"} for a in args),
    "syncthing": lambda args, flow: True,
    "rdiff-backup": lambda args, flow: any("::" in a for a in args),
    "unison": lambda args, flow: any("://" in a for a in args),
    "dd": lambda args, flow: False,
    "ssh-copy-id": lambda args, flow: False,
    "influx": lambda args, flow: False,
    "pg_dump": lambda args, flow: False,
}
