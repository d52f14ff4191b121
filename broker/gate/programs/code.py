"""Whether inline code of other languages is harmless, and which shell texts can be seen in it.

Harmless is what only uses words from a short list; everything else could run something.
"""

from __future__ import annotations

import re

from broker.gate.text import known, names

_STRINGS = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELL_OUT = re.compile(
    r"(?:\b(?:system2?|exec[lvpe]*|popen\w*|passthru|shell_exec|spawn\w*|posix_spawn\w*|call|run|check_call|check_output|getoutput|"
    r"getstatusoutput|execSync|execFileSync|spawnSync|execFile|callCommand|callProcess|unix|shell|os\.execute|io\.popen|qx|"
    r"Popen|open|pcntl_exec|proc_open|syscmd|esyscmd|startProcess|call-process|shell-command|command)\b"
    r"[\s(\[{,>@:]*(?:P_\w+\s*,\s*|\w+\.P_\w+\s*,\s*)?|\[\s*)"
    r"(?P<quote>['\"`])(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote)(?P<more>(?:\s*,\s*\[?\s*['\"][^'\"]*['\"])*)",
    re.DOTALL,
)
_BACKQUOTES = re.compile(r"`([^`]*)`")
_SAFE = {
    "python": names(
    """print import from as json sys base64 b64decode b64encode math time datetime re len range str int
    float list dict set tuple sorted sum min max abs round enumerate zip map filter for in if else elif
    while not and or is None True False argv stdin stdout read readline readlines write lambda join
    split strip replace upper lower format encode decode dumps loads load dump sqrt pi floor ceil now
    today strftime isoformat bool any all ord chr hex bin oct repr version version_info platform maxsize
    def return x i n d f s a b c k v e pass indent string random randint choice uuid uuid4 hashlib
    sha256 sha1 md5 hexdigest urllib parse quote unquote urlencode secrets token_hex token_urlsafe
    statistics mean itertools collections Counter timezone utc fromtimestamp calendar"""
),
    "perl": names(
    """print printf say join reverse length uc lc ucfirst lcfirst sort split my for foreach if else unless
    while keys values scalar chomp chop time localtime sprintf abs int sqrt substr index push shift pop
    last next n t strict warnings use and or not F _ A ARGV ENV x eq ne lt gt i"""
),
    "ruby": names(
    """puts print p each map join reverse upcase downcase length size split times do end if else puts gsub
    sub to_s to_i to_f sum min max sort Time now nil true false x i n s"""
),
    "node": names(
    """console log JSON stringify parse Math floor round random max min sqrt Date now process version
    versions length map filter join split reverse toString parseInt parseFloat Number String Array of
    from x i n s let const null true false v8 argv"""
),
    "php": names(
    """echo print print_r var_dump strlen strtoupper strtolower date time json_encode json_decode array
    count implode explode phpversion PHP_VERSION PHP_EOL max min round floor md5 sha1 base64_encode
    base64_decode n"""
),
    "awk": names(
    """BEGIN END NR NF FS OFS ORS RS FNR FILENAME print printf length substr index split sub gsub match
    tolower toupper sprintf int sqrt exp log sin cos atan2 rand srand if else while for do in next exit
    delete break continue function return RSTART RLENGTH ENVIRON ARGC ARGV SUBSEP CONVFMT OFMT
    IGNORECASE systime strftime gensub asort asorti and or xor lshift rshift patsplit toupper nextfile
    NR"""
),
}  # fmt: skip
"""The words that code of the language may use, strings apart."""


def harmless(language: str, code: str) -> bool:
    """True if the code can only compute and print."""
    if not known(code):
        return False
    if language == "awk":
        return _awk(code)
    safe = _SAFE.get(language)
    if safe is None:
        return False
    if language != "python" and re.search(r"[@#$]\{|`|<<", code):
        return False
    if language == "python" and re.search(r"\b[fF][rR]?['\"]|\b[rR][fF]['\"]|__|'''|\"\"\"", code):
        return False
    if language == "perl":
        edited = _without_patterns(code)
        if edited is None:
            return False
        code = edited
    if language == "perl" and re.search(
        r"[%&*]\w*\{|->|<[^>]*>|\bs\s*[/|{#]|\btr?\b|\by\b|\|", _STRINGS.sub("''", code)
    ):
        return False
    if language in {"ruby", "node"} and re.search(r"%[xXwWqQ(\[{]|`|#\{|\$\{|\[['\"]|constructor", code):
        return False
    if language == "php" and re.search(r"\$\{|\{\$|`|\$\w+\s*\(|['\"]\s*\(", code):
        return False
    bare = _STRINGS.sub(" ", code)
    return "'" not in bare and '"' not in bare and set(_WORD.findall(bare)) <= safe


_PERL_EDIT = re.compile(
    r"(?:(?<=^)|(?<=[\s;({,!~&|]))(?:s|tr|y)([/|!#])((?:\\.|(?!\1)[^\\\n])*)\1((?:\\.|(?!\1)[^\\\n])*)\1([a-z]*)|"
    r"(?:(?<=^)|(?<=[\s({,!~&|]))m?/((?:\\.|[^/\\\n])+)/([a-z]*)"
)


def _without_patterns(code: str) -> str | None:
    """Perl's code without its patterns; None if one of them runs code."""
    for match in _PERL_EDIT.finditer(code):
        flags = (match[4] or "") + (match[6] or "")
        if "e" in flags or re.search(r"\(\?\??\{|[@$]\{|\$\(|@\w", match[0]):
            return None
    return _PERL_EDIT.sub(" ", code)


def _awk(code: str) -> bool:
    """awk is harmless without system(), pipes, getline, extensions and calls by name."""
    if "/inet" in code or re.search(r"@(?:load|include|\w)", code):
        return False
    bare = _STRINGS.sub(' "" ', code).replace("||", " ")
    if re.search(r"\bsystem\b|\bgetline\b|\||\\\n", bare):
        return not re.search(
            r"\bgetline\b|\bsystem\s*\(|\bsystem\s*$|\|", re.sub(r"/(?:\\.|[^/\\\n])*/", " ", bare)
        )
    return True


_STARTS = re.compile(
    r"\b(?:system|exec|popen|spawn\w*|passthru|shell_exec|proc_open|pcntl_exec|execSync|execFile(?:Sync)?|"
    r"spawnSync|execute|posix_spawn\w*|Open3|child_process|callCommand|callProcess|readProcess|shell|unix)\b"
    r"(?!\s*[=:])|`|\bqx\b|%x"
)
_TCL = re.compile(r"(?:^|[\[;\n{])\s*(?:exec|spawn)\s|open\s+[\"{]?\|")


def starts(language: str, code: str) -> bool:
    """True if the code names what starts a command, strings apart: it surely can, whatever the command is."""
    if language == "tcl":
        return _TCL.search(code) is not None
    bare = _STRINGS.sub(' "" ', code)
    if language == "awk":
        bare = re.sub(r"/(?:\\.|[^/\\\n])*/", " ", bare.replace("||", " "))
        return re.search(r"\bsystem\s*\(|\|", bare) is not None
    return _STARTS.search(bare) is not None


def seen_texts(code: str) -> list[str]:
    """Shell texts that the code would run, as far as they stand there as literals."""
    found = [match[1] for match in _BACKQUOTES.finditer(code)]
    for match in _SHELL_OUT.finditer(code):
        more = re.findall(r"['\"]([^'\"]*)['\"]", match["more"])
        found.append(" ".join([_unescaped(match["text"]), *more]))
    return [text for text in found if text.strip()][:20]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(['\"\\])", r"\1", text)


def sed_runs(program: str) -> str | None:
    """Why a sed program could run something or is not understood; None if it only edits."""
    at, text = 0, program
    while at < len(text):
        if text[at] in " \t\n;{}":
            at += 1
            continue
        if text[at] == "#":
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
            continue
        moved = _sed_address(text, at)
        if moved is None:
            return "the sed program is not understood"
        at = moved
        while at < len(text) and text[at] in " \t!":
            at += 1
        if at >= len(text):
            return "the sed program is not understood"
        reason, at = _sed_command(text, at)
        if reason is not None:
            return reason
    return None


def _sed_address(text: str, at: int) -> int | None:
    for _ in range(2):
        if at < len(text) and (text[at].isdigit() or text[at] in "$+~"):
            match = re.compile(r"[+~]?[0-9]*(?:~[0-9]+)?\$?").match(text, at)
            at = match.end() if match else at
        elif at < len(text) and text[at] in "/\\":
            sign = "/" if text[at] == "/" else text[at + 1 : at + 2]
            end = _sed_part(text, at + (1 if text[at] == "/" else 2), sign)
            if end is None:
                return None
            at = end
            while at < len(text) and text[at] in "IM":
                at += 1
        while at < len(text) and text[at] in " \t":
            at += 1
        if at < len(text) and text[at] == ",":
            at += 1
            while at < len(text) and text[at] in " \t":
                at += 1
        else:
            break
    return at


def _sed_part(text: str, at: int, sign: str) -> int | None:
    """The place behind the next unescaped `sign`; in a bracket expression it is plain."""
    bracket = False
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if not bracket and text[at] == sign:
            return at + 1
        if text[at] == "[" and not bracket and "]" in text[at + 2 :]:
            bracket = True
            at += 2 if text[at + 1 : at + 2] != "^" else 3
            continue
        if text[at] == "]":
            bracket = False
        at += 1
    return None


def _sed_command(text: str, at: int) -> tuple[str | None, int]:
    letter = text[at]
    at += 1
    if letter in "sy":
        sign = text[at : at + 1]
        middle = _sed_part(text, at + 1, sign) if sign else None
        end = _sed_replacement(text, middle, sign) if middle is not None else None
        if end is None:
            return "the sed program is not understood", at
        flags = re.compile(r"[gpiImMe0-9]*").match(text, end)
        assert flags is not None, "it matches nothing at least"
        at = flags.end()
        if letter == "s" and "e" in flags[0]:
            return "sed runs what it edits", at
        if letter == "s" and text[at : at + 1] == "w":
            return None, _line_end(text, at)
        return None, at
    if letter == "e":
        return "sed runs a command", at
    if letter in "aicrRwWbtT:v":
        if letter in "btT:":
            match = re.compile(r"[^;\n}]*").match(text, at)
            return None, match.end() if match else at
        return None, _line_end(text, at)
    if letter in "=dDgGhHlnNpPqQxzF0123456789":
        match = re.compile(r"[ \t]*[0-9]*").match(text, at)
        return None, match.end() if match else at
    return "the sed program is not understood", at


def _sed_replacement(text: str, at: int, sign: str) -> int | None:
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text[at] == sign:
            return at + 1
        else:
            at += 1
    return None


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1
