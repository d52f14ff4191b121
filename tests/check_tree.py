"""Checks on the tree that no linter makes: sizes, leaked addresses and paths, locks in step with pyproject.

`python -m tests.check_tree` prints one line per finding and exits 1 if any of them is an error.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

FILE_WARN, FILE_MAX, FUNCTION_MAX = 400, 600, 80
"""Lines of a Python file outside tests, and of one function."""

_LEAKS = (
    # Each is split so that this file does not match itself.
    (
        "host of a package registry",
        r"pythonhosted" r"\.org|\bpypi" r"\.(org|python\.org)\b|registry\.npm" r"js",
    ),
    (
        "host of a package registry",
        r"\b(deb|security)\.deb" r"ian\.org|archive\.ubun" r"tu\.com|proxy\.go" r"lang",
    ),
    (
        "path of a build machine",
        r"/(wo" r"rk|fa" r"rm)/(main|steering|shared|in|\.library)\b|/tmp/bash" r"_jobs",
    ),
)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend at `where` (`path:line`); a warning does not fail the check."""

    where: str
    text: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{'error' if self.fatal else 'warning'}: {self.where}: {self.text}"


def tracked_files(root: Path) -> list[Path]:
    """Every file that is or would be committed, relative to `root`; in an unpacked archive, every file."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, check=False
    )
    if listing.returncode == 0:
        names = (Path(name.decode()) for name in listing.stdout.split(b"\0") if name)
    else:
        found = (path.relative_to(root) for path in root.rglob("*"))
        names = (path for path in found if not any(part.startswith(".venv") for part in path.parts))
    return sorted(name for name in names if (root / name).is_file())


def check_sizes(root: Path, files: list[Path]) -> Iterator[Finding]:
    """Python files and functions outside `tests/` that are too long."""
    for path in files:
        if path.suffix != ".py" or path.parts[0] == "tests":
            continue
        source = (root / path).read_text()
        lines = source.count("\n")
        if lines > FILE_WARN:
            yield Finding(f"{path}", f"{lines} lines; more than {FILE_MAX} fail", fatal=lines > FILE_MAX)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_MAX:
                    yield Finding(
                        f"{path}:{node.lineno}", f"{node.name} has {length} lines, over {FUNCTION_MAX}"
                    )


def check_leaks(root: Path, files: list[Path]) -> Iterator[Finding]:
    """Registry hosts and machine paths in text files, and the path of this very checkout."""
    patterns = [(what, re.compile(pattern)) for what, pattern in _LEAKS]
    if len(root.parts) > 2:  # "/src" alone would match too much
        patterns.append(("path of this checkout", re.compile(re.escape(str(root)) + r"\b")))
    for path in files:
        content = (root / path).read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            for what, pattern in patterns:
                if found := pattern.search(line):
                    yield Finding(f"{path}:{number}", f"{what}: {found[0]}")


def read_lock(text: str) -> dict[str, Version]:
    """The pins of a lock file, by canonical name."""
    return {canonicalize_name(name): Version(version) for name, version in _PIN.findall(text)}


def check_locks(pyproject: str, lock: str, dev_lock: str) -> Iterator[Finding]:
    """Takes the three texts: what pyproject asks for is pinned, hashed, and the same in both locks."""
    project = tomllib.loads(pyproject)
    run = [Requirement(line) for line in project["project"]["dependencies"]]
    dev = [Requirement(line) for line in project["dependency-groups"]["dev"]]
    pins, dev_pins = read_lock(lock), read_lock(dev_lock)
    advice = "run ./dev lock"
    for name, found, wanted in (
        ("requirements.lock", pins, run),
        ("requirements-dev.lock", dev_pins, run + dev),
    ):
        for need in wanted:
            version = found.get(canonicalize_name(need.name))
            if version is None:
                yield Finding(name, f"{need.name} of pyproject.toml is missing; {advice}")
            elif not need.specifier.contains(version, prereleases=True):
                yield Finding(name, f"{need.name} {version} does not fit {need.specifier}; {advice}")
    for package, version in pins.items():
        if dev_pins.get(package) != version:
            yield Finding(
                "requirements-dev.lock", f"{package} is not {version} as in requirements.lock; {advice}"
            )
    for name, text in (("requirements.lock", lock), ("requirements-dev.lock", dev_lock)):
        yield from (
            Finding(name, f"{block.split()[0]} has no hash; {advice}")
            for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
            if _PIN.match(block) and "--hash=sha256:" not in block
        )


def main() -> int:
    """Print all findings on the checkout this file is in; 1 if one is an error."""
    root = Path(__file__).resolve().parents[1]
    files = tracked_files(root)
    findings = [*check_sizes(root, files), *check_leaks(root, files)]
    findings += check_locks(
        *(
            (root / name).read_text()
            for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock")
        )
    )
    for finding in findings:
        print(finding)
    return int(any(finding.fatal for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
