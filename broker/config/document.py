"""A YAML file with the line of every key, and the problems found in it.

YAML 1.2 with what surprises people taken out: no aliases, tags or duplicate keys, no key without a
value, and only `true`, `false` and plain decimal numbers are anything but text (`0660`, `yes` and
`08:00` stay text). A whole file's problems are collected before it is refused.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from broker.model.errors import InvalidConfig

Location = tuple[str | int, ...]
"""A way through mappings and lists, e.g. `("policies", 0, "who")`."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 16

_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_TAGS = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Problems:
    """What is wrong with a set of files, each entry a place and a sentence."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, text: str) -> None:
        if (where, text) not in self.found:
            self.found.append((where, text))

    def refuse_if_any(self) -> None:
        """Raises InvalidConfig that tells all of them, one per line."""
        if self.found:
            (where, first), *rest = sorted(self.found, key=_file_and_line)
            raise InvalidConfig("\n".join([first, *(f"{at}: {text}" for at, text in rest)]), where=where)


def _file_and_line(problem: tuple[str, str]) -> tuple[str, int]:
    file, _, line = problem[0].rpartition(":")
    return (file, int(line)) if line.isdecimal() else (problem[0], 0)


@dataclass(slots=True)
class Document:
    """Plain data (dict, list, str, int, bool; None for an empty file) and the line of each location."""

    path: Path
    data: Any = None
    lines: dict[Location, int] = field(default_factory=lambda: {(): 1})

    def known(self, location: Location) -> Location:
        """The location without the parts that are not in the file (a validator's own steps)."""
        here: Location = ()
        for part in location:
            if (*here, part) in self.lines:
                here = (*here, part)
        return here

    def line(self, location: Location) -> int:
        return self.lines[self.known(location)]

    def where(self, location: Location = ()) -> str:
        return f"{self.path}:{self.line(location)}"


def read_document(path: Path, problems: Problems) -> Document | None:
    """Read one file; None (and an entry in `problems`) if it cannot be used."""
    document = Document(path)
    text = _read_text(path, problems)
    if text is None:
        return None
    before = len(problems.found)
    root = _compose(text, path, problems)
    if root is not None:
        document.data = _Reader(document, problems).value(root, ())
    return document if len(problems.found) == before else None


def yaml_files(folder: Path, problems: Problems) -> list[Path]:
    """The `*.yaml` files of a folder by name. A `.yml` file is a problem: ignoring it would hide rules."""
    files = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix == ".yml":
            problems.add(str(path), "not read: the name of the file must end in .yaml")
        elif path.suffix == ".yaml":
            files.append(path)
    return files


def folder_problem(folder: Path) -> str | None:
    """Why a configured folder cannot be listed, None if it can."""
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        return f"cannot read the folder: {error.strerror}"
    return None


def _read_text(path: Path, problems: Problems) -> str | None:
    try:
        if not path.is_file():
            problems.add(str(path), "not a file" if path.exists() else "no such file")
            return None
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            problems.add(str(path), f"larger than {MAX_BYTES} bytes")
            return None
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        problems.add(str(path), f"not UTF-8 text (byte {error.start})")
    except (OSError, ValueError) as error:
        problems.add(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}")
    return None


def _compose(text: str, path: Path, problems: Problems) -> Node | None:
    try:
        return YAML(typ="rt", pure=True).compose(text)  # type: ignore[no-any-return]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        problems.add(f"{path}:{line}", f"not valid YAML: {error.problem or error.context}")
    except RecursionError:
        problems.add(str(path), "not valid YAML: nested too deeply")
    except Exception as error:
        # The YAML reader answers some malformed input with errors of its own code: a bad file all the same.
        problems.add(str(path), f"not valid YAML: {type(error).__name__}")
    return None


class _Reader:
    """Turns the node graph into plain data, noting lines and refusing what is not wanted."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self._document = document
        self._problems = problems
        self._seen: set[int] = set()

    def value(self, node: Node, location: Location) -> Any:
        self._document.lines.setdefault(location, node.start_mark.line + 1)
        if id(node) in self._seen:
            return self._refused(location, "aliases (*name) are not supported: write it out")
        self._seen.add(id(node))
        if len(location) > MAX_DEPTH:
            return self._refused(location[:MAX_DEPTH], "nested too deeply")
        if not str(node.tag or _TAGS).startswith(_TAGS):
            return self._refused(location, f"the tag {node.tag} is not supported")
        if isinstance(node, ScalarNode):
            return self._scalar(node, location)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node, location)
        return self._refused(location, "not a value")

    def _mapping(self, node: MappingNode, location: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, ScalarNode) else None
            line = key_node.start_mark.line + 1
            if not isinstance(key, str) or key == "<<" or has_control_character(key):
                self._refuse_at(line, location, "a key must be plain text")
            elif key in result:
                self._refuse_at(line, (*location, key), "the key is given twice")
            else:
                self._document.lines[(*location, key)] = line
                result[key] = self.value(value_node, (*location, key))
        return result

    def _scalar(self, node: ScalarNode, location: Location) -> Any:
        text = str(node.value)
        if has_control_character(text):
            return self._refused(location, "control and invisible characters are not allowed")
        if node.style in {'"', "'", "|", ">"}:
            return text
        if text in _NULL:
            return self._refused(location, "has no value: give one, or leave the key out")
        if text in _BOOL:
            return _BOOL[text]
        return int(text) if _NUMBER.match(text) else text

    def _refused(self, location: Location, text: str) -> Any:
        self._refuse_at(self._document.line(location), location, text)
        return None

    def _refuse_at(self, line: int, location: Location, text: str) -> None:
        key = dotted(location)
        self._problems.add(f"{self._document.path}:{line}", f"{key}: {text}" if key else text)


def has_control_character(text: str) -> bool:
    """True for a character that is not seen or moves what is seen (C0, C1, bidi, zero width, surrogates)."""
    return any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c not in "\n\t" for c in text)


def dotted(location: Location) -> str:
    """`("policies", 0, "who")` as `policies[0].who`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
