"""Facts about programs: which arguments can make them start others, which read commands, which do neither.

Which programs are concerned is well known (GTFOBins); the rest is in their manuals.
"""

from __future__ import annotations

import re

from broker.gate.text import names

ALWAYS = names(
    """login nix-shell pct ansible-test ansible-console ansible-pull aoss atobm batchcopy bpftrace byebug
    cdist check_by_ssh cobc cpan crash csc cscli distcc dosbox dotnet easyrsa efax facter fpm gdbserver
    gimp ginsh gnuplot gtester hping3 java javaws jdb jtag ksshell ksu latexmk lldb lualatex luatex
    masscan minicom msfconsole msfvenom nodemon nsd octave osqueryi outguess pdb perlbug pexec plymouth
    puppet red runscript rustc sash scanmem scrot sg slsh sqlmap sqsh sshuttle tasksh tdbtool terminator
    tmate tmuxp twistd updog varnishadm volatility wine x-terminal-emulator xonsh xterm zathura konsole
    gnome-terminal alacritty kitty rxvt urxvt st foot lxterminal xfce4-terminal mate-terminal
    terminology tilix guake yakuake wezterm cssh clusterssh entr reptyr abduco zellij mprocs overmind
    foreman honcho expect autoexpect empty bolt chef-shell chef-solo terragrunt packer inspec cinc
    rpmdev snapcraft flatpak-builder systemtap stap gtkwave jjs xpra at-spi run-mailcap see edit-mailcap
    update-motd debugfs initramfs kexec criu rr uml_mkcoprocess inetd xinetd tcpserver ucspi tcpsvd
    udpsvd stunnel pppd wpa_cli udhcpc ovs-vsctl pluginviewer bitbake anacron fcron incrontab watchexec
    watchman fswatch-run slurm srun sbatch qsub mpirun mpiexec orterun prun msgexec emacsclient cobrun
    clisp dvips ebb mosh mosh-client"""
)
"""They start what no argument tells for certain."""
TASKS = names(
    """mvn gradle gradlew ant sbt ninja bazel cabal tox gulp grunt just dracut mkinitcpio update-initramfs
    ifup ifdown dhclient vipw vigr puppet-agent chef-client ansible-playbook meson scons nox invoke inv
    rake lein rebar3 mix rpmbuild debuild dpkg-buildpackage makepkg"""
)
"""They run what a file of the project says, like make: a policy can name them. With more than plain words
they could run something else."""
_ARGUMENTS: dict[str, str] = {
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
    "gdb": r"-ex|--ex|--eval|-x|--command|-ix|-iex|--init|--args",
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
        r"--pipe|--rcfile|--macros|"
        r"--load|.*%\(|.*%\{(?:lua|load|expand)\b"
    ),
    "dpkg dpkg-query": r"--pre-invoke|--post-invoke|--status-logger",
    "snap": r"--shell|run",
    "npm": r"--script-shell|--node-options|-c\Z|--call|exec|explore|config|edit|x\Z|run-script-x",
    "gcc g++ cc c++ c89 c99 clang clang++ tcc": r"-wrapper|-fplugin|-B|-specs|@|--specs",
    "composer": r"run-script|run|exec|global|test|install|update|require|create-project",
    "systemctl": r"edit|link|import-environment|set-environment",
    "tcpdump": r"-[a-zA-Z0-9]*z|--z",
    "dumpcap tshark": r"-X|-z",
    "nmap": r"--interactive|--script(?:=|\Z)|--script-args-file|--datadir",
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
    "modprobe": r"-C|--config",
    "insmod": r".*/.*",
    "mount": r"-t\s*fuse|fuse",
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
    "chsh chfn": r".*",
    "usermod useradd adduser": r"-[a-zA-Z]*s|--shell",
    "ed red": r"-p|--prompt",
}
"""Arguments that can make a program start another; `harmless` knows those of them that do not."""
ARGUMENTS = {
    name: re.compile(rf"(?:{pattern})", re.DOTALL)
    for group, pattern in _ARGUMENTS.items()
    for name in group.split()
}
CONSOLES = names(
    """ed red vim vi nvim ex view sqlite3 sqlite ftp lftp tftp sftp psftp telnet smbclient gdb lldb dc bc
    gnuplot m4 pic eqn mail mailx mutt ginsh tdbtool virsh bconsole gs debugfs fdisk parted cfdisk ncftp
    redis-cli mongo mongosh cqlsh sqlplus isql osqueryi lpc lftpget troff groff nroff soelim make"""
)
"""Programs that take commands from standard input, some of which can start a shell."""
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
