# The line editor is locked: at a prompt nothing is a key but a frame of the broker, and its line alone runs.
# @P@ok: 1 free, 0 locked, 2 our own code runs, 3 a line was accepted and nothing of it has run yet.
# @P@lk: 1 while prompt, key map and editing mode are ours. @P@v: set by the trap, to see that it is there.
@P@s=0 @P@ok=1 @P@lk=0 @P@v=1 @P@n=0
@P@m() { printf '\033]5522;@N@;@L@;%s;%d;%q\007' "$1" "$@P@s" "$2" >/dev/tty; }
@P@r() { return $1; }
@P@t() { shopt -s extdebug; set -T; trap '((@P@v=1,@P@ok==1&&${#PROMPT_COMMAND[*]}${#PROMPT_COMMAND}==@P@n)) || @P@d "$BASH_COMMAND"' DEBUG; }
# Before each command that runs while the shell is not free, or will not come back to us.
@P@d() {
  [[ $1 == @P@[ep]* || ${FUNCNAME[1]} == @P@* || $@P@ok == 2 ]] && return 0
  ((@P@ok == 3)) && { @P@u; return 0; }
  if ((@P@ok == 1)); then
    [[ ${PROMPT_COMMAND[*]} == *@P@p* ]] && { @P@c; return 0; }
    @P@m T 'the prompt of the shell was taken away'
    return 1
  fi
  @P@m U "$1"
  return 1
}
# What the trap compares: how many entries PROMPT_COMMAND has, and how long the first is.
@P@c() { @P@n=${#PROMPT_COMMAND[*]}${#PROMPT_COMMAND}; }
# Unlock: what the user has set is in force again.
@P@u() {
  PS1=$@P@p1$@P@1 PS2=$@P@p2
  if [[ -n $@P@md ]]; then set -o $@P@md; else set +o emacs +o vi; fi
  [[ -n $@P@iv ]] && bind 'set show-mode-in-prompt on'
  [[ -z $@P@hz ]] && bind 'set horizontal-scroll-mode off'
  [[ -n $@P@h ]] && set -H
  @P@lk=0 @P@ok=1
} 2>/dev/null
# Lock: the mode that the user does not edit in has the empty key map.
@P@l() {
  @P@md= @P@h= @P@iv= @P@hz= @P@km=vi-insert
  [[ -o emacs ]] && @P@md=emacs
  [[ -o vi ]] && @P@md=vi @P@km=emacs-standard
  [[ $- == *H* ]] && @P@h=1
  [[ $@P@rl == *'show-mode-in-prompt on'* ]] && @P@iv=1 && bind 'set show-mode-in-prompt off'
  [[ $@P@rl == *'horizontal-scroll-mode on'* ]] && @P@hz=1
  bind 'set horizontal-scroll-mode on'
  if [[ $@P@md == vi ]]; then set -o emacs; else set -o vi; fi
  set +H
  PS1='\[\033]5522;@N@;@L@;P;'$@P@s';\007\]'
  PS2='\[\033]5522;@N@;@L@;C;'$@P@s';\007\]'
  @P@lk=1 @P@ok=0
} 2>/dev/null
# Tell that a line will be read, once the terminal echoes no more. What was typed ahead comes before the answer.
@P@w() {
  local x n=0 IFS=
  printf -v x '\033]5522;@N@;@L@;S;%d;%q\007' "$@P@s" "$1"
  set -- -p "$x"
  @P@b=
  while ((n < 100)); do
    read -rs -d $'\036' -t 900 "$@" x </dev/tty 2>/dev/tty || ((++n))
    [[ $x == "@N@;@L@;$@P@s;g" ]] && return 0
    @P@b+=$x
    set --
  done
  kill -HUP $$
}
@P@p() {
  local e=$? x k=
  @P@v=0
  ((@P@v)) || @P@m T 'the trap that asks for leave is gone'
  ((@P@lk)) && @P@u
  @P@t
  [[ $PS0 == *"$@P@0" ]] || PS0+=$@P@0
  @P@o
  @P@c
  @P@p1=${PS1//"$@P@1"} @P@p2=$PS2
  [[ -o vi ]] && k=-vi
  @P@r $e
  x=${@P@p1@P}
  @P@w "$e"$'\037'"$PWD"$'\037'"$x"$'\037'"${@P@p2@P}"$'\037'"$-$k"
  @P@m B "$@P@b"
  @P@l
  return $e
}
# Our function is the last that runs before a prompt.
@P@o() {
  local c
  if [[ $(declare -p PROMPT_COMMAND 2>/dev/null) == 'declare -a'* ]]; then
    [[ ${PROMPT_COMMAND[-1]} == @P@p ]] && return
    for c in "${!PROMPT_COMMAND[@]}"; do
      [[ ${PROMPT_COMMAND[c]} == @P@p ]] && unset "PROMPT_COMMAND[c]"
    done
    PROMPT_COMMAND+=(@P@p)
  elif [[ $PROMPT_COMMAND != *$'\n'@P@p && $PROMPT_COMMAND != @P@p ]]; then
    PROMPT_COMMAND=${PROMPT_COMMAND//@P@p/:}
    PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}@P@p
  fi
}
@P@a() { bind -m $@P@km "\"\x1c@P@3\": $1"; } 2>/dev/null
# The key that a frame begins with. Another function, bound to the key after it, accepts the line or nothing.
@P@e() {
  local x k was=$@P@ok IFS=
  @P@ok=2
  @P@a '""'
  if ! read -rs -d $'\036' -t 10 x </dev/tty || [[ $x != "@N@;@L@;$((@P@s + 1));"?";"* ]]; then
    @P@ok=$was
    return 0
  fi
  ((++@P@s))
  x=${x#*;*;*;}
  k=${x%%;*} x=${x#*;}
  case $k in
    l) printf -v READLINE_LINE %b "$x"
       READLINE_POINT=0
       @P@a accept-line
       @P@m A ''
       was=3;;
    c) printf -v x %b "$x"
       @P@x "$x"
       x=$(printf '%s\037' "${COMPREPLY[@]:0:300}")
       @P@m O "${x:0:12000}";;
    i) @P@m I ''
       @P@ok=$was
       kill -INT $$;;
  esac
  @P@ok=$was
}
# Completion. How (c command, v variable, f file, d folder,
# p as the program wants it), then the words up to the cursor, parted by 0x1f.
@P@x() {
  local IFS=$'\037' how w f n prev
  local COMP_WORDS COMP_CWORD COMP_LINE COMP_POINT COMP_TYPE=9 COMP_KEY=9
  COMPREPLY=()
  read -r -d '' -a COMP_WORDS <<<"$1"$'\037'
  how=${COMP_WORDS[0]}
  ((n = ${#COMP_WORDS[@]} - 2, COMP_CWORD = n - 1))
  COMP_WORDS=("${COMP_WORDS[@]:1:n}")
  w=${COMP_WORDS[COMP_CWORD]}
  ((n > 1)) && prev=${COMP_WORDS[n-2]}
  IFS=$' \t\n'
  COMP_LINE="${COMP_WORDS[*]}" COMP_POINT=${#COMP_LINE}
  case $how in
    c) mapfile -t -n 300 COMPREPLY < <(compgen -c -- "$w" | sort -u);;
    v) mapfile -t -n 300 COMPREPLY < <(compgen -v -- "$w");;
    p) f=$(complete -p -- "${COMP_WORDS[0]}" 2>/dev/null)
       if [[ -z $f ]]; then
         f=$(complete -p -D 2>/dev/null)
         [[ $f =~ \ -F\ ([^ ]+) ]] && "${BASH_REMATCH[1]}" "${COMP_WORDS[0]}" "$w" "$prev"
         f=$(complete -p -- "${COMP_WORDS[0]}" 2>/dev/null)
       fi
       if [[ $f =~ \ -F\ ([^ ]+) ]]; then
         "${BASH_REMATCH[1]}" "${COMP_WORDS[0]}" "$w" "$prev"
       elif [[ -n $f ]]; then
         f=${f#complete }
         mapfile -t -n 300 COMPREPLY < <(eval "compgen ${f% *}"' -- "$w"')
       fi;;
  esac
  [[ $how == [dfp] && -z ${COMPREPLY[*]} ]] && @P@f "$w" ${how/p/f}
  for n in "${!COMPREPLY[@]}"; do
    f=${COMPREPLY[n]}
    [[ $how == [dfp] && $f != */ && -d ${f/#\~\//$HOME/} ]] && COMPREPLY[n]+=/
  done
} </dev/null >/dev/null 2>&1
@P@f() {
  local w=$1
  [[ $w == \~/* ]] && w=$HOME${w#\~}
  mapfile -t -n 300 COMPREPLY < <(compgen -$2 -- "$w")
  [[ $1 == \~/* ]] && COMPREPLY=("${COMPREPLY[@]/#"$HOME"/\~}")
}
# Empty the key maps of the mode that is not in use, and bind the frame's key there.
@P@i() {
  local k l
  @P@rl=$(bind -v)
  for k in vi-insert emacs-standard; do
    [[ $k == vi-insert && -o vi || $k == emacs-standard && ! -o vi ]] && continue
    while IFS= read -r l; do
      [[ $l == \"*\":* ]] || continue
      l=${l#\"}
      bind -m $k -r "${l%%\":*}"
    done < <(bind -m $k -p; bind -m $k -s; bind -m $k -X)
    bind -m $k "\"\x1e\": \"\x1c@P@2\x1c@P@3\""
    bind -m $k -x "\"\x1c@P@2\": @P@e"
    bind -m $k "\"\x1c@P@3\": \"\""
  done
} 2>/dev/null
# Take our lines out of the history, and tell what is in it.
@P@g() {
  local x
  while x=$(HISTTIMEFORMAT= history 1); [[ $x == *@N@* || $x == *' | base64 -d | gzip -d)"' ]]; do
    set -- $x
    history -d "${1%\*}" || break
  done
  x=$(HISTTIMEFORMAT= history 500)
  ((${#x} > 12000)) && x=${x: -12000}
  @P@m Y "$x"
}
@P@0='\033]5522;@N@;@L@;X;0;\007'
@P@1='\[\033]5522;@N@;@L@;Q;0;\007\]'
@P@i
@P@m R bash
@P@g
@P@o
@P@c
@P@t
