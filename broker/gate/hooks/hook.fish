# Enter asks for leave to report (abbreviations are expanded meanwhile), reports, and waits for the answer
# in a bind mode of its own, in which nothing else is a key.
set -g @P@s 0
set -g @P@ok ''
set -g @P@md default
function @P@m
    printf '\033]5522;@N@;@L@;%s;%d;%%%s\007' $argv[1] $@P@s (string escape --style=url -- $argv[2] | string collect) >/dev/tty
end
function @P@e
    set -g @P@s (math $@P@s + 1)
    set -g @P@md $fish_bind_mode
    commandline -f expand-abbr
    bind -M @P@w \x1e"@N@;@L@;$@P@s;r"\x1e @P@r
    set -g fish_bind_mode @P@w
    @P@m E ''
end
function @P@r
    bind -e -M @P@w \x1e"@N@;@L@;$@P@s;r"\x1e
    bind -M @P@w \x1e"@N@;@L@;$@P@s;y"\x1e @P@y
    bind -M @P@w \x1e"@N@;@L@;$@P@s;n"\x1e @P@n
    bind -M @P@w \x1e"@N@;@L@;$@P@s;i"\x1e @P@n
    set -g @P@t (commandline -b | string collect)
    if test (string length -- "$@P@t") -gt 16000
        @P@m L \001too-long
    else
        @P@m L "$@P@t"
    end
end
function @P@g
    for v in y n i
        bind -e -M @P@w \x1e"@N@;@L@;$@P@s;$v"\x1e
    end
    set -g fish_bind_mode $@P@md
    @P@m B ''
end
function @P@y
    @P@g
    @P@i
    set -g @P@ok $@P@t
    commandline --is-valid
    test $status -eq 2; and @P@m C ''
    commandline -f execute
end
function @P@n
    @P@g
    set -g @P@rj 1
    @P@i
    commandline -f cancel-commandline
end
# In vi mode a new line begins in insert mode.
function @P@i
    test "$fish_key_bindings" != fish_default_key_bindings; and set fish_bind_mode insert
end
function @P@c --on-event fish_cancel
    test "$@P@rj" = 1; and @P@m N ''
    set -g @P@rj ''
end
function @P@k
    @P@m K ''
end
function @P@x --on-event fish_preexec
    set -l t "$@P@ok"
    set -g @P@ok ''
    @P@m X ''
    if test "$argv" != "$t"
        @P@m T unauthorised
        kill -KILL $fish_pid
    end
end
function @P@p --on-event fish_prompt
    for k in default insert visual
        bind -M $k \r @P@e
        bind -M $k \n @P@e
        bind -M $k \x1e"@N@;@L@;0;q"\x1e @P@k
    end
    @P@m P ''
end
bind -M @P@w '' true
@P@m R fish
