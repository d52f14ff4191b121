"""A document against its schema: every mismatch with file, line, key and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from broker.config.document import Document, Location, Problems, dotted


class Section(BaseModel):
    """A mapping of a file: immutable, and a key that the schema does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


T = TypeVar("T", bound=BaseModel)

_EXPECTED = {
    "missing": "this key is required",
    "path_type": "expected a path",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "model_type": "expected a mapping (key: value)",
    "dict_type": "expected a mapping (key: value)",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "string_too_short": "must not be empty",
}


def validated(
    document: Document, model: type[T], problems: Problems, context: Mapping[str, Any] | None = None
) -> T | None:
    """The document as `model`; None (and entries in `problems`) if it does not fit."""
    try:
        return model.model_validate(document.data, context=dict(context or {}))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            # A default that hangs on another key fails with that key, which is told already.
            if detail["type"] != "default_factory_not_called":
                _tell(detail, document, model, problems)
        return None


def _tell(detail: ErrorDetails, document: Document, model: type[BaseModel], problems: Problems) -> None:
    location: Location = detail["loc"]
    key = dotted(document.known(location))
    if detail["type"] == "missing":
        key = f"{key}.{location[-1]}" if key else str(location[-1])
    text = _sentence(detail, model)
    problems.add(document.where(location), f"{key}: {text}" if key else text)


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return "unknown key" + _suggestion(str(detail["loc"][-1]), keys_at(model, detail["loc"][:-1]))
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind in {"enum", "literal_error"}:
        return f"expected {detail['ctx']['expected']}, got {_shown(detail['input'])}"
    if kind in {"greater_than_equal", "less_than_equal"}:
        least, most = detail["ctx"].get("ge"), detail["ctx"].get("le")
        bound = f"at least {least:g}" if least is not None else f"at most {most:g}"
        return f"expected {bound}, got {_shown(detail['input'])}"
    text = _EXPECTED.get(kind) or detail["msg"]
    bare = kind in {"missing", "string_too_short"}
    return text if bare else f"{text}, got {_shown(detail['input'])}"


def _suggestion(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
    if near:
        return f", did you mean {near[0]!r}?"
    return f", expected one of {', '.join(sorted(known))}" if known else ""


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def keys_at(model: type[BaseModel], location: Location) -> set[str]:
    """The keys that the schema knows in the mapping at `location`."""
    here = {model}
    for part in location:
        inner = {
            sub
            for section in here
            if isinstance(part, str) and part in fields_of(section)
            for sub in sections_of(fields_of(section)[part])
        }
        here = inner or here
    return {name for section in here for name in fields_of(section)}


def fields_of(section: type[BaseModel]) -> dict[str, Any]:
    """The keys of a section as files write them, with the annotation of each."""
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


def sections_of(annotation: object) -> Iterator[type[BaseModel]]:
    """The sections that a field's annotation holds, through lists, mappings and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from sections_of(inner)
