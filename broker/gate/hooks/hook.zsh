# zle-line-finish is the one place that every way to accept a line goes through.
typeset -g @P@s=0 @P@ok= @P@g=0 @P@r=0
@P@m() { printf '\033]5522;@N@;@L@;%s;%d;%q\007' "$1" "${3:-$@P@s}" "$2" >/dev/tty }
@P@a() {
  emulate -L zsh
  local x b= v=n IFS=
  (( $#2 > 16000 )) && set -- "$1" $'\001too-long' "$3"
  @P@m "$1" "$2" "$3"
  while read -rs -d $'\036' -t 1000000 x </dev/tty; do
    case $x in
      ("@N@;@L@;$3;"*) v=${x##*;}; break;;
      (*) b+=$x;;
    esac
  done
  @P@m B "$b" "$3"
  [[ $v == y ]]
}
@P@f() {
  (( $+widgets[@P@o] )) && zle @P@o
  [[ $CONTEXT == start || $CONTEXT == cont ]] || return 0
  [[ -o banghist && ( $BUFFER == *\!* || $BUFFER == \^* ) ]] && zle .expand-history
  if @P@a L "$PREBUFFER$BUFFER" $(( ++@P@s )); then
    @P@ok=$PREBUFFER$BUFFER
  else
    POSTDISPLAY=$BUFFER BUFFER= CURSOR=0 @P@r=1
    zle .send-break
  fi
}
@P@q() {
  emulate -L zsh
  local x IFS=
  read -rs -d $'\036' -t 2 x </dev/tty
  [[ $x == '@N@;@L@;0;q' ]] && @P@m K ''
  return 0
}
@P@x() {
  local t=${@P@ok%$'\n'}
  @P@ok=
  @P@m X ''
  [[ ${1%$'\n'} == $t || ${3%$'\n'} == $t ]] && return 0
  @P@a D "${3:-$1}" $(( ++@P@g + 1000000 )) || kill -INT $$
}
@P@p() {
  local e=$?
  @P@ok=
  [[ ${widgets[zle-line-finish]} == user:@P@f ]] || { @P@m T line-finish; @P@w; }
  [[ ${preexec_functions[1]} == @P@x ]] || preexec_functions=(@P@x ${preexec_functions:#@P@x})
  bindkey $'\x1e' @P@q
  bindkey -M viins $'\x1e' @P@q
  bindkey -M vicmd $'\x1e' @P@q
  (( @P@r )) && { @P@r=0; @P@m N '' }
  @P@m P ''
  return $e
}
@P@i() {
  (( $+widgets[@P@j] )) && zle @P@j
  [[ $CONTEXT == cont ]] && @P@m C ''
  return 0
}
@P@w() {
  [[ ${widgets[zle-line-init]} == user:* && ${widgets[zle-line-init]} != *@P@i ]] && zle -A zle-line-init @P@j
  zle -N zle-line-init @P@i
  [[ ${widgets[zle-line-finish]} == user:* && ${widgets[zle-line-finish]} != *@P@f ]] && zle -A zle-line-finish @P@o
  zle -N zle-line-finish @P@f
}
@P@0() {
  zle -N @P@q
  @P@w
  precmd_functions+=(@P@p)
  @P@m R zsh
}
