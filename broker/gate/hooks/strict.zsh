# The line editor is locked: at a prompt its main key map is empty but for the key that a frame begins with.
# @P@ok: 1 free, 0 locked, 3 a line was accepted and nothing of it has run yet. @P@lk: 1 while we hold it all.
typeset -g @P@s=0 @P@ok=1 @P@lk=0 @P@b= @P@p1= @P@p2= @P@rp= @P@rq= @P@op= @P@km=emacs
@P@m() { printf '\033]5522;@N@;@L@;%s;%d;%q\007' "$1" "$@P@s" "$2" >/dev/tty }
@P@r() { return $1 }
@P@u() {
  PROMPT=$@P@p1%{$@P@1%} PROMPT2=$@P@p2 RPROMPT=$@P@rp RPROMPT2=$@P@rq
  [[ $@P@op == *s* ]] || unsetopt single_line_zle
  [[ $@P@op == *b* ]] && setopt bang_hist
  bindkey -A $@P@km main
  if (( $+widgets[@P@j] )); then zle -A @P@j zle-line-init; else zle -D zle-line-init; fi
  @P@lk=0 @P@ok=1
}
@P@l() {
  @P@op=
  [[ -o single_line_zle ]] && @P@op+=s
  [[ -o bang_hist ]] && @P@op+=b
  unsetopt single_line_zle bang_hist
  PROMPT=$'%{\033]5522;@N@;@L@;P;'$@P@s$';\007%}' RPROMPT= RPROMPT2= PROMPT2=
  @P@km=${${(z)"$(bindkey -lL main 2>/dev/null)"}[3]}
  [[ $@P@km == (emacs|viins) ]] || @P@km=emacs
  bindkey -A @P@k main
  zle -D @P@j 2>/dev/null
  (( $+widgets[zle-line-init] )) && zle -A zle-line-init @P@j
  zle -N zle-line-init @P@n
  @P@lk=1 @P@ok=0
}
# The rest of a line is read. What shows the accepted line as one row would hide the prompt for it.
@P@n() {
  [[ $CONTEXT == cont ]] || return 0
  unsetopt single_line_zle
  @P@m C ''
}
# Tell that a line will be read, once the terminal echoes no more. What was typed ahead comes before the answer.
@P@w() {
  emulate -L zsh
  local x m n=0 IFS=
  printf -v m '\033]5522;@N@;@L@;S;%d;%q\007' "$@P@s" "$1"
  @P@b=
  while (( n < 100 )); do
    x=
    read -rs -d $'\036' -t 900 "x?$m" </dev/tty 2>/dev/tty || (( ++n ))
    [[ $x == "@N@;@L@;$@P@s;g" ]] && return 0
    @P@b+=$x
    m=
  done
  kill -HUP $$
}
@P@p() {
  local e=$? x b=
  (( @P@lk )) && @P@u
  @P@o
  @P@p1=${PROMPT//"%{$@P@1%}"} @P@p2=$PROMPT2 @P@rp=$RPROMPT @P@rq=$RPROMPT2
  @P@r $e
  x=${(%%)@P@p1}
  [[ -o bang_hist ]] && b=H
  [[ $(bindkey -lL main) == *viins* ]] && b+=-vi
  @P@w "$e"$'\037'"$PWD"$'\037'"$x"$'\037'"${(%%)@P@p2}"$'\037'"$b"
  @P@m B "$@P@b"
  @P@l
  return $e
}
# Ours is the last function before a prompt and the first before a line runs.
@P@o() {
  [[ ${precmd_functions[-1]} == @P@p ]] || precmd_functions=(${precmd_functions:#@P@p} @P@p)
  [[ ${preexec_functions[1]} == @P@x ]] || preexec_functions=(@P@x ${preexec_functions:#@P@x})
}
@P@x() {
  (( @P@ok == 0 )) && { @P@m U "$1"; kill -INT $$; return }
  (( @P@lk )) && @P@u
  @P@m X ''
}
@P@e() {
  local x k IFS=
  read -rs -d $'\036' -t 10 x </dev/tty || return 0
  [[ $x == "@N@;@L@;$((@P@s + 1));"?";"* ]] || return 0
  (( ++@P@s ))
  x=${x#*;*;*;}
  k=${x%%;*} x=${x#*;}
  case $k in
    (l) printf -v x %b "$x"
        BUFFER=$x CURSOR=0
        @P@ok=3
        setopt single_line_zle
        @P@m A ''
        zle .accept-line;;
    (c) printf -v x %b "$x"
        @P@c "$x"
        x=${(pj:\037:)reply[1,300]}
        @P@m O "${x[1,12000]}";;
    (i) @P@m I ''
        @P@ok=0
        zle .send-break;;
  esac
}
# Completion: how (c command, v variable, d folder, f or p file), then the words up to the cursor.
@P@c() {
  emulate -L zsh
  setopt null_glob
  local w how=${1%%$'\037'*} t=
  w=${1##*$'\037'}
  case $how in
    (c) reply=(${(ou)${(M)${(k)commands}:#${(b)w}*}} ${(ou)${(M)${(k)functions}:#${(b)w}*}} ${(ou)${(M)${(k)builtins}:#${(b)w}*}} ${(ou)${(M)${(k)aliases}:#${(b)w}*}} ${(ou)${(M)${(k)reswords}:#${(b)w}*}});;
    (v) reply=(${(ok)${(M)${(k)parameters}:#${(b)w}*}});;
    (*) [[ $w == '~/'* ]] && t=$HOME w=$HOME${w#\~}
        if [[ $how == d ]]; then reply=(${~${(b)w}}*(-/M)); else reply=(${~${(b)w}}*(M)); fi
        reply=(${reply/#$HOME\//${t:+\~/}${${t:-$HOME/}#$t}});;
  esac
} 2>/dev/null
@P@1=$'\033]5522;@N@;@L@;Q;0;\007'
@P@0() {
  zmodload zsh/parameter
  bindkey -N @P@k
  bindkey -M @P@k -R $'\000'-$'\177' undefined-key 2>/dev/null
  bindkey -M @P@k $'\036' @P@e
  zle -N @P@e
  @P@o
  local x="$(fc -l -500 2>/dev/null)"
  (( $#x > 12000 )) && x=${x[-12000,-1]}
  @P@m R zsh
  @P@m Y "$x"
}
