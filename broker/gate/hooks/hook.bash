# Enter is bound to three private keys: expand history, report and wait for the answer, then accept or not.
# @P@st: 1 an authorised line runs, 0 nothing is authorised, 2 our own code runs. @P@ar: 1 at a prompt.
@P@s=0 @P@st=1 @P@ar=0 @P@z=('') @P@h= @P@v=1 @P@g=0 @P@r=0
@P@m() { printf '\033]5522;@N@;@L@;%s;%d;%q\007' "$1" "${3:-$@P@s}" "$2" >/dev/tty; }
@P@a() {
  local IFS= x b= v=n
  ((${#2} > 16000)) && set -- "$1" $'\001too-long' "$3"
  @P@m "$1" "$2" "$3"
  while read -rs -d $'\036' -t 1000000 x </dev/tty; do
    case $x in
      "@N@;@L@;$3;"*) v=${x##*;}; break;;
      *) b+=$x;;
    esac
  done
  @P@m B "$b" "$3"
  [[ $v == y ]]
}
@P@b() {
  local k
  for k in emacs-standard vi-insert vi-command; do
    bind -m $k "\"\x1c@P@3\": $1"
  done
} 2>/dev/null
@P@e() {
  if ((@P@ar == 0)); then
    @P@b accept-line
    ((@P@st == 2)) && @P@st=0
    return 0
  fi
  @P@a L "$READLINE_LINE" $((++@P@s))
  case $? in
    0) @P@b accept-line
       [[ $- == *H* ]] && @P@h=1 && set +H
       @P@st=1;;
    *) READLINE_LINE= READLINE_POINT=0 @P@r=1
       @P@b '""'
       kill -INT $$;;
  esac
}
@P@q() {
  local x
  IFS= read -rs -d $'\036' -t 2 x </dev/tty
  [[ $x == '@N@;@L@;0;q' ]] && @P@m K ''
  ((@P@st == 2)) && @P@st=0
  return 0
}
@P@d() {
  case $1 in @P@e|@P@q|@P@p) @P@st=2; return 0;; esac
  [[ -n ${COMP_LINE+x} ]] && return 0
  @P@a D "$1" $((++@P@g + 1000000))
}
@P@p() {
  local e=$?
  [[ -n $@P@h ]] && set -H
  @P@h=
  [[ $PS1 == *"$@P@1" ]] || PS1+=$@P@1
  [[ $PS2 == *"$@P@2" ]] || PS2+=$@P@2
  [[ $PS0 == *"$@P@0" ]] || PS0+=$@P@0
  ((@P@v)) || { @P@m T debug; @P@t; }
  @P@v=0
  ((@P@r)) && { @P@r=0; @P@m N ''; }
  @P@k
  return $((@P@st == 2 ? (@P@st = 0) + e : e))
}
@P@t() { shopt -s extdebug; set -T; trap '((@P@v=1,@P@st)) || @P@d "$BASH_COMMAND"' DEBUG; }
@P@k() {
  local k
  for k in emacs-standard vi-insert vi-command; do
    bind -m $k "\"\x1c@P@1\": history-expand-line"
    bind -m $k -x "\"\x1c@P@2\": @P@e"
    bind -m $k -x '"\x1e": @P@q'
    bind -m $k '"\x1c@P@3": ""'
    bind -m $k "\"\C-m\": \"\x1c@P@1\x1c@P@2\x1c@P@3\""
    bind -m $k "\"\C-j\": \"\x1c@P@1\x1c@P@2\x1c@P@3\""
  done
} 2>/dev/null
@P@u() {
  local x
  while x=$(HISTTIMEFORMAT= history 1); [[ $x == *@N@* || $x == *' | base64 -d | gzip -d)"' ]]; do
    set -- $x
    history -d "${1%\*}" || break
  done
}
@P@1='\[\033]5522;@N@;@L@;P;$@P@s;\007\]${@P@z[(@P@st=0)*(@P@ar=1)]}'
@P@2='\[\033]5522;@N@;@L@;C;$@P@s;\007\]${@P@z[(@P@st=0)*(@P@ar=1)]}'
@P@0='\033]5522;@N@;@L@;X;0;\007${@P@z[@P@ar=0]}'
@P@u
if [[ $(declare -p PROMPT_COMMAND 2>/dev/null) == 'declare -a'* ]]; then
  PROMPT_COMMAND+=(@P@p)
else
  PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}@P@p
fi
@P@m R bash
@P@t
