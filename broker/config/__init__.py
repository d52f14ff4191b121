"""The one strict, typed configuration: `bartizan.yaml` and `targets/*.yaml`.

Unknown keys, keys without a value and values of another type are refused with file, line and key.
"""

from __future__ import annotations

from pathlib import Path

from broker.config.document import Problems, read_document
from broker.config.schema import Config, KeySource, LogFormat, LogLevel, Ui
from broker.config.targets import RESERVED_VERBS, load_targets
from broker.config.validate import validated

__all__ = [
    "RESERVED_VERBS",
    "Config",
    "KeySource",
    "LogFormat",
    "LogLevel",
    "Ui",
    "load_config",
    "load_targets",
]


def load_config(path: Path) -> Config:
    """Read the configuration. Raises InvalidConfig that tells every problem of the file.

    An empty file gives the defaults; a file that does not exist is an error.
    """
    problems = Problems()
    document = read_document(path, problems)
    config = None
    if document is not None:
        if document.data is None:
            document.data = {}
        config = validated(document, Config, problems, {"base": path.absolute().parent})
    problems.refuse_if_any()
    assert config is not None, "no configuration without a problem told"
    return config
