"""Programs that are no wrappers and yet can start a shell or a command, and which arguments do it.

Facts about each program from its manual; which programs are concerned is well known (GTFOBins).
"""

from __future__ import annotations

import re

from broker.gate.options import verbs
from broker.gate.programs.editors import console_commands
from broker.gate.programs.findings import Findings, asks_only
from broker.gate.programs.git import RISKY as GIT_RISKY
from broker.gate.programs.git import git
from broker.gate.programs.shells import OTHER_SHELLS, SHELLS
from broker.gate.shell.run import Flow
from broker.gate.shell.state import Input
from broker.gate.text import names, open_ended
from broker.model.command import Deed

_ALWAYS = names(
    """login nix-shell pct ansible-playbook ansible-test ansible-console ansible-pull aoss
    atobm batchcopy bpftrace byebug cabal cdist check_by_ssh cobc cpan crash csc cscli distcc dosbox
    dotnet easyrsa efax facter fpm gdbserver gimp ginsh gnuplot gtester hping3 java javaws jdb jtag
    ksshell ksu latexmk lldb lualatex luatex masscan minicom msfconsole msfvenom nodemon nsd
    octave osqueryi outguess pdb perlbug pexec plymouth puppet rake red runscript rustc sash scanmem
    scrot sg slsh sqlmap sqsh sshuttle tasksh tdbtool terminator tmate tmuxp twistd updog
    varnishadm volatility wine x-terminal-emulator xonsh xterm zathura konsole gnome-terminal alacritty
    kitty rxvt urxvt st foot lxterminal xfce4-terminal mate-terminal terminology tilix guake yakuake
    wezterm cssh clusterssh entr reptyr abduco zellij mprocs overmind foreman honcho expect
    autoexpect empty bolt chef-client
    chef-shell chef-solo puppet-agent terragrunt packer inspec cinc rpmbuild debuild dpkg-buildpackage
    makepkg rpmdev snapcraft flatpak-builder meson ninja scons bazel gradle gradlew mvn ant sbt lein
    rebar3 mix gulp grunt just tox nox invoke inv systemtap stap gtkwave jjs xpra at-spi run-mailcap see
    edit-mailcap update-motd debugfs mkinitcpio dracut update-initramfs initramfs kexec criu rr
    uml_mkcoprocess inetd xinetd tcpserver ucspi tcpsvd udpsvd stunnel pppd wpa_cli dhclient udhcpc ifup
    ifdown vipw vigr ovs-vsctl pluginviewer bitbake anacron fcron incrontab watchexec watchman
    fswatch-run slurm srun sbatch qsub mpirun mpiexec orterun prun msgexec emacsclient cobrun clisp
    dvips ebb mosh mosh-client"""
)
_ASKED = names("--help --version -h -V")
_EXEC_ARGUMENT: dict[str, str] = {
    "tar gtar bsdtar star": (
        r"--checkpoint-action|--to-command|--use-compress|-[a-zA-Z]*I|--rsh-command|--rmt-command|"
        r"--info-script|--new-volume|-[a-zA-Z]*F|--volno|--use-compr|--c\w*-a\w*=|--to-c"
    ),
    "zip": r"-[a-zA-Z]*TT|--unzip-command|-T\b.*TT",
    "cpio": r"--rsh-command",
    "rsync": r"-[a-zA-Z]*e|--rsh|--rsync-path",
    "scp sftp": r"-[a-zA-Z0-9]*[SDoF]",
    "split gsplit": r"--filter|--fil",
    "sort gsort": r"--compress-program|--comp",
    "man": r"-[a-zA-Z]*[PH]|--pager|--html|--browser|-[a-zA-Z]*C|--config-file",
    "apropos whatis": r"-C|--config-file",
    "bat batcat": r"--pager(?!=(?:less|never|more|cat)\b)",
    "delta": r"--pager(?!=(?:less|never|more|cat)\b)",
    "less most more pg zless": r"(?:-k|--lesskey|\+[^Gg0-9F/?].*|\+.*!|-[A-Za-z]*[pP].*!|--cmd)",
    "fzf sk": r"--preview|--bind|--execute|--become|--reload",
    "git": (
        r"--upload-pack|--receive-pack|--exec(?!-path\Z)|--ext-diff|--textconv|-O(?!rder)|"
        r"--open-files-in-pager|-x\Z|--extcmd|ext::|--exec-path=|--(?:index|tree|msg|commit|"
        r"env|parent|tag-name)-filter|-c\Z.*|--config-env|--template|--smtp-server=/|--to-cmd|"
        r"--cc-cmd|-u\Z_|--editor"
    ),
    "hg": r"--config|ext::|--debugger|(?:extdiff|hgext)",
    "svn": r"--editor-cmd|--diff-cmd|--diff3-cmd|--config-option|svn\+",
    "cmake": r"-P|-E|-C|--build",
    "make gmake bmake": r"--eval|-f|--file|--makefile|-C|--directory|-I|SHELL=|.*\$\(shell|.*=.*[`$!;|]|-E",
    "gdb": r"-ex|--ex|--eval|-x|--command|-ix|-iex|--init|--args|-p",
    "vim vi nvim view vimdiff gvim rvim rview ex elvis vile nvi": (
        r"-c|--cmd|-S|-s|-u|-U|\+.+|-es|--remote|--embed|-l\Z|--headless"
    ),
    "emacs": r"-(?:-?)(?:eval|batch|load|l|execute|funcall|f|script|u|nw_\b)",
    "nano pico rnano": r"-[a-zA-Z]*[sf]|--speller|--rcfile",
    "joe jmacs jstar jpico": r"-exec|-rcfile",
    "wget": r"--use-askpass|--config|-e\Z|--execute|-[a-zA-Z]*e",
    "curl": r"-K|--config",
    "apt apt-get aptitude apt-cache": r"-o.*|--option.*|-c.*|--config-file.*",
    "yum dnf microdnf": r"-c|--config|--enableplugin|--setopt|--plugin|shell\Z|--pluginpath",
    "zypper": (
        r"(?!list|search|se\b|info|if\b|lr\b|lu\b|lp\b|ls\b|install|in\b|remove|rm\b|update|"
        r"up\b|dup|refresh|ref\b|repos|clean|cc\b|patch|verify|ve\b|-n|--non|-q|-y|--quiet|"
        r"-h|--help|-V|--version|products|pd|pa|pt|packages|patterns|what|wp|addrepo|ar|"
        r"removerepo|rr|modifyrepo|mr|source-install|si|locks|ll|al|rl)[a-zA-Z-].*"
    ),
    "rpm rpmquery rpmdb rpmverify rpmkeys": (
        r"-[a-zA-Z]*E|--eval|--pipe|--define|-D|--rcfile|--macros|"
        r"--load|.*%[({]"
    ),
    "dpkg dpkg-query": r"--pre-invoke|--post-invoke|--status-logger",
    "snap": r"--shell|run",
    "npm": r"--script-shell|--node-options|-c\Z|--call|exec|explore|config|edit|x\Z|run-script-x",
    "gem": r"-e|open",
    "cargo": r"--config|run|test|bench|build",
    "go": r"-exec|-toolexec|-vettool|generate|run|test",
    "gcc g++ cc c++ c89 c99 clang clang++ tcc": r"-wrapper|-fplugin|-B|-specs|@|--specs",
    "composer": r"run-script|run|exec|global|test|install|update|require|create-project",
    "systemctl": r"edit|link|import-environment|set-environment",
    "tcpdump": r"-[a-zA-Z0-9]*z|--z",
    "dumpcap tshark": r"-X|-z",
    "nmap": r"--interactive|--script(?!=(?:default|safe|vuln|banner)\b)|--datadir",
    "ftp lftp tnftp": r".*[!|`].*|-[ecf].*",
    "telnet rlogin": r".*!.*",
    "redis-cli": r"--eval|.*(?:MODULE|CONFIG|SLAVEOF|DEBUG|EVAL).*",
    "mongo mongosh": r"--eval|.*\.js\Z",
    "ssh-keygen": r"-[a-zA-Z]*D|-w",
    "ssh-add": r"-s|-S",
    "sshd": r"-[a-zA-Z]*[oTf]",
    "openssl": r"-engine|-provider|-config",
    "gpg gpg2": (
        r"--(?:photo-viewer|exec-path|agent-program|dirmngr-program|gpgconf|options|homedir|"
        r"show-photos|pinentry)"
    ),
    "dc bc": r".*!.*",
    "m4": r".*(?:syscmd|include|-D.*=).*|-[FRp]|[a-zA-Z0-9_.]+\Z",
    "pic eqn groff nroff troff grn refer soelim": r"-U",
    "tex pdftex latex pdflatex xelatex xetex lualatex luatex etex": (
        r"-?-shell-escape|-?-enable-write18|.*(?:write18|directlua|openin|\\input\|).*|-fmt|" r"-ini"
    ),
    "exiftool": r"-(?:if|config|execute|p|d|D|@|geotag|api|userParam)\d*|.*system.*",
    "zic": r"-y|-yearistype",
    "xdg-user-dir": r".*[;`$|&].*",
    "logrotate": r"-(?!d\Z|l\Z|v\Z|s\Z|-debug|-verbose|-log|-state|-version).*|-[a-z]*m|--mail",
    "certbot": r"--(?:pre|post|renew|deploy|manual)-?\w*-?hook|--config|--config-dir",
    "valgrind": r"--db-command|--db-attach",
    "virsh": r"-c|--connect|.*command=.*|edit|qemu-(?:monitor|agent)-command|console",
    "virt-install": r".*",
    "gcloud": r"ssh\Z|start-iap-tunnel",
    "aws": r"start-session\Z|execute-command\Z",
    "heroku fly flyctl": r"run|ssh|console",
    "neofetch fastfetch screenfetch": r"--config|--source|--ascii|--load-config|-c",
    "cowsay cowthink": r"-f",
    "pidstat": r"-[a-zA-Z]*e",
    "file": r"-[a-zA-Z]*m",
    "w3m lynx links elinks": r"-config|-cfg|-o|-c\Z|--cfg",
    "mutt neomutt mail mailx": r"-e|-F|-E|.*(?:--exec=|~!).*|-S.*",
    "ranger nnn lf vifm": r"--cmd|-c|-command",
    "aspell ispell": r"--(?!lang|mode|help)",
    "patch": r"-e|--ed",
    "yq": r".*(?:load|env\().*",
    "install": r"--strip-program",
    "ctags": r"--options|--_echo|--optlib",
    "pandoc": r"-[FL]|--filter|--lua-filter|--pdf-engine|--defaults|-d",
    "gs": r".*pipe.*|-dNOSAFER|-c",
    "convert magick identify mogrify": r".*(?:ephemeral|msl:|https?:|\||@).*",
    "update-alternatives": r"--install|--set",
    "service": r"\.\./|/",
    "ld ld.bfd ld.gold": r"-plugin|--plugin",
    "ldconfig": r"-f",
    "insmod modprobe": r"-C|--config|.*",
    "mount": r"-t\s*fuse|fuse",
    "terraform tofu": r"apply|plan|init|console|destroy\Z_|import|refresh|test",
    "helm": r"--post-renderer|plugin",
    "kustomize": r"--enable-exec|--enable-alpha",
    "vagrant": r"ssh|up|provision|powershell|winrm",
    "pip pip3": r"--python",
    "supervisorctl": r"-c",
    "wpa_supplicant": r".*",
    "opkg": r"--conf|-f|-o",
    "pkg pkgng": r"-c|-o|-R|shell",
    "pacman": r"--config|--hookdir|--gpgdir|--root|-[a-zA-Z]*b",
    "brew": r"ruby|sh|irb|prof|tests|edit",
    "conda mamba micromamba": r"run|shell",
    "nginx": r"-[a-z]*[gc]",
    "apache2 apache2ctl httpd-bin apachectl": r"-[fCcd]",
    "dmsetup": r"--exec",
    "docker-machine": r"ssh",
    "psftp pscp": r"-batch_|-b",
    "openvpn": r".*",
    "jar javac javadoc": r"-J|@",
    "csvtool": r"call",
    "ncat nc netcat nc.traditional nc.openbsd": r"-[a-zA-Z0-9]*[ec]|--(?:exec|sh-exec|lua-exec)",
    "socat": r".*(?:exec|system|shell):.*",
    "openocd": r".*",
    "smbclient": r".*!.*",
    "rsyslogd": r"-f",
    "alpine pine": r"-p|-x",
    "iftop": r"-c",
    "dstat": r"--(?!(?:cpu|mem|net|disk|top|time|version|help))\w+",
    "facter": r".*",
    "cobc": r".*",
    "sshfs": r"-o.*ssh_command|-o",
    "borg": r"--rsh|--remote-path",
    "restic": r"--password-command|--option|-o",
    "wireshark": r"-X",
    "qemu-system-x86_64 qemu kvm": r".*",
    "mplayer mpv": r"--(?:script|include|input)|-slave",
    "gvfs-open xdg-open open see": r".*",
    "checkinstall": r".*",
    "debootstrap": r".*",
}
_BY_NAME = {
    name: re.compile(rf"(?:{pattern})", re.DOTALL)
    for group, pattern in _EXEC_ARGUMENT.items()
    for name in group.split()
}
_COMMAND_INPUT = names(
    """ed red vim vi nvim ex view sqlite3 sqlite ftp lftp tftp sftp psftp telnet smbclient gdb lldb dc bc
    gnuplot m4 pic eqn mail mailx mutt ginsh tdbtool virsh bconsole gs debugfs fdisk parted cfdisk ncftp
    redis-cli mongo mongosh cqlsh sqlplus isql osqueryi lpc lftpget troff groff nroff soelim make"""
)
"""Programs that take commands from standard input, some of which can start a shell."""
_INPUT_ESCAPE = re.compile(
    r"(?m)!|\\[!oigw]|\\copy|^\s*(?:shell|python|system|source|exec|pipe|make|sy?s?|\.)\b|\|\s*\w|syscmd|^\s*\.|\bsh\b|\bshell\b|`|system|\\"
)
QUIET = names(
    """ls cat tac head tail grep egrep fgrep rg echo printf cp mv ln mkdir rmdir rm touch chmod chown chgrp
    stat df du ps top free uptime who w id whoami uname hostname date cal sleep kill pkill killall pgrep
    pidof which whereis type man info apropos whatis help test true false wc sort uniq cut tr paste join
    comm diff cmp tee file basename dirname realpath readlink pwd cd systemctl service journalctl dmesg
    mount umount lsblk blkid fdisk lsof netstat ss ip ifconfig ping ping6 traceroute tracepath dig host
    nslookup curl wget apt apt-get apt-cache aptitude dpkg dpkg-query rpm yum dnf microdnf zypper pacman
    apk snap flatpak brew pip pip3 npm yarn pnpm gem cargo conda go git svn docker podman kubectl helm
    export declare local readonly typeset alias unalias unset set shift return exit read wait jobs fg bg
    useradd usermod userdel groupadd groupdel passwd chsh chage getent groups last lastb history locate
    tree md5sum sha1sum sha256sum gzip gunzip bzip2 xz zcat zip unzip tar less more most nano hexdump
    xxd od strings base64 base32 seq yes jq shasum sum cksum shuf fold fmt nl rev column expr factor
    numfmt pr expand unexpand tsort look apk-tools equery emerge port chattr lsattr getfacl setfacl
    shred truncate mktemp mkfifo mknod logger wall write mesg loginctl hostnamectl timedatectl localectl
    shutdown reboot halt poweroff init telinit sudo su doas pkexec runuser update-alternatives
    update-rc.d chkconfig sysctl modinfo lsmod complete compgen bind hash trap source builtin command
    enable dirs popd pushd umask ulimit getopts let eval exec scp sftp rsync nc ncat socat ftp atop
    auditctl bconsole bootctl busctl chronyc crontab cryptsetup date dmesg ed ffmpeg gdate hostnamectl
    htop iconv infocmp iotop ip journalctl jq julia loginctl lsof mc mcedit mosquitto_sub msgattrib
    msgcat msgconv msgmerge msguniq ncdu nethogs networkctl ntpdate php ptx red resolvectl sadf sar
    setcap ssh-agent ssh-import-id ssh-keyscan tic timedatectl top uudecode uuencode vlc wall xgettext
    xinput xmodmap xset terraform terraform-docs ssh-add ssh-keygen ssh-copy-id openssl gpg rsync gsutil
    aws s3cmd rclone mail cancel lp lpr wormhole whois finger"""
)
"""Programs that do what they are known for and start nothing."""
_LOOKS_LIKE = re.compile(
    r"(?:[a-z/]*/)?(?:"
    + "|".join(sorted(re.escape(name) for name in SHELLS | OTHER_SHELLS - {"rc", "es", "ion", "oil"}))
    + r")(?:\s+-[a-z]*[cil].*)?\Z",
    re.DOTALL,
)


def escapes(name: str, args: list[str], flow: Flow) -> Findings:
    """Whether the program starts a shell or a command by these arguments or its input."""
    findings = Findings()
    if asks_only(args):
        return findings
    if name == "git":
        git(args, findings)
        if _git_runs(args):
            findings.doubt = "git starts a command"
    if name in _ALWAYS and not _ASKED.issuperset(args or ["-"]):
        findings.doubt = f"{name} can start what is not known from the line"
        _named_shell(args, findings)
        return findings
    pattern = _BY_NAME.get(name)
    if pattern is not None:
        _by_argument(name, pattern, args, findings)
    if name in _COMMAND_INPUT and not flow.stdin.terminal:
        _by_input(name, flow, findings)
    if name not in QUIET and pattern is None:
        _guessed(name, args, findings)
    return findings


def _git_runs(args: list[str]) -> bool:
    """Verbs of git that run what they are given, and settings that hold a command."""
    words = [arg for arg in args if not arg.startswith("-")]
    if words[:2] == ["submodule", "foreach"] or words[:2] == ["bisect", "run"]:
        return True
    if words[:1] == ["config"] and len(words) > 2:
        return bool(GIT_RISKY.match(f"{words[-2]}=")) and bool(re.search(r"[!;|&$`\s]", words[-1]))
    return False


def _by_argument(name: str, pattern: re.Pattern[str], args: list[str], findings: Findings) -> None:
    if name == "zypper":
        args = [*(arg for arg in args if arg.startswith("-")), *verbs(name, tuple(args))[:1]]
    for index, arg in enumerate(args):
        if open_ended(arg) and name in {
            "tar",
            "git",
            "make",
            "gdb",
            "vim",
            "vi",
            "man",
            "rsync",
        }:
            if "\ufdd1" in arg and not (name == "rsync" or name == "git"):
                findings.doubt = f"what {name} is asked to do is not known"
            continue
        if pattern.match(arg) is None:
            continue
        value = args[index + 1] if index + 1 < len(args) else ""
        if _harmless(name, arg, value):
            continue
        findings.doubt = findings.doubt or f"{name} can start a command by {arg}"
        for text in (arg.partition("=")[2], value):
            if re.search(r"\s|;", text) or text in SHELLS:
                findings.texts.append((text.lstrip("!|- "), Input()))


_EDITOR_PLAIN = re.compile(
    r"\+?(?:[0-9]*|\$|/[^!|]*|\?[^!|]*|set? [\w=,]+|q!?|wq!?|x!?|qa!?|wqa!?|xa!?|e [\w./-]+|"
    r"w|w!|syntax (?:on|off)|nohl?|normal [^!:|]*G)\Z"
)


def _harmless(name: str, arg: str, value: str) -> bool:
    """An argument that matches the table and yet is one of the usual ones."""
    if name in {"vim", "vi", "nvim", "view", "vimdiff", "gvim", "rvim", "rview", "ex"}:
        text = value if arg in {"-c", "--cmd"} else arg
        if arg in {"-s", "-S", "-u", "-U", "-i"}:
            return arg in {"-u", "-i"} and value in {"NONE", "NORC", "DEFAULTS"}
        return arg in {"-es", "-Es", "-e"} or bool(
            _EDITOR_PLAIN.match(text[2:] if text.startswith("-c") and arg != "-c" else text)
        )
    if name == "git" and arg == "-c":
        return GIT_RISKY.match(value) is None or bool(re.match(r"[\w.]*pager=(?:cat|less|more|)\Z", value))
    if name == "git" and arg.startswith("-O"):
        return False
    if name == "gdb" and arg in {"-ex", "--ex"}:
        return bool(re.match(r"(?:p|print|bt|backtrace|info|q|quit|list|x)\b[^|!`$(]*\Z", value))
    if name == "rsync" and re.match(r"-[a-zA-Z]*e\Z|--rsh", arg):
        text = arg.partition("=")[2] or value
        return bool(
            re.fullmatch(
                r"ssh(?:\s+-(?:p\s*\d+|i\s+\S+|q|C|4|6|l\s+\w+|o\s*(?:StrictHostKeyChecking|UserKnownHostsFile|Port|User)=\S+))*",
                text,
            )
        )
    if name == "rsync" and re.match(r"-[a-zA-Z]*e", arg):
        return bool(re.fullmatch(r"-[a-zA-Z]*essh", arg)) or "e" not in arg[1:]
    if name == "rsync" and arg.startswith("--rsync-path"):
        return bool(re.fullmatch(r"(?:/usr/bin/)?rsync", arg.partition("=")[2] or value))
    if name == "make" and arg in {"-C", "--directory", "-f", "--file", "--makefile"}:
        return arg in {"-C", "--directory"}
    if name in {"scp", "sftp"} and re.match(r"-[a-zA-Z0-9]*o", arg):
        text = arg.partition("o")[2] or value
        return re.search(r"(?i)command|provider|match|include", text) is None
    return False


def _by_input(name: str, flow: Flow, findings: Findings) -> None:
    text = flow.stdin.rest
    if text is None or open_ended(text):
        findings.doubt = findings.doubt or f"{name} runs its input, which is not known"
        return
    found = console_commands(name, text)
    if found:
        findings.does.add(Deed.SHELL)
        findings.texts += [(command, Input()) for command in found if command]
    if found or _INPUT_ESCAPE.search(text):
        findings.doubt = findings.doubt or f"{name} can start a command by its input"


def _named_shell(args: list[str], findings: Findings) -> None:
    if any(_LOOKS_LIKE.match(arg) for arg in args):
        findings.does.add(Deed.SHELL)


def _guessed(name: str, args: list[str], findings: Findings) -> None:
    """A program that is not in any table: an argument that names a shell or looks like an escape."""
    for arg in args:
        value = arg.partition("=")[2] if arg.startswith("-") else arg
        if _LOOKS_LIKE.match(value) or re.match(r"(?:!|\|)\s*[a-z/]|exec:|system:", value):
            findings.doubt = f"{name} is given what looks like a command to start"
            findings.does.add(Deed.SHELL)
        elif re.search(
            r"\b(?:system|exec|popen|spawn)\s*\(|\$\(\s*\w|`[^`]+`|\bsh -c\b|/bin/(?:ba|da|z|k)?sh\b", value
        ):
            findings.doubt = f"{name} is given what looks like a command to start"
        elif re.match(
            r"--?(?:exec|command|cmd|run|shell|pre-hook|post-hook|hook|on-\w+|script|plugin|filter|pager|editor|askpass|ssh-cmd|server)(?:=|\Z)",
            arg,
        ):
            findings.doubt = f"{name} can start a command by {arg}"
