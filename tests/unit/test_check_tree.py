"""The checks of the tree find what they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check_tree import check_leaks, check_locks, check_sizes, tracked_files

PYPROJECT = """
[project]
dependencies = ["Alpha[extra]>=2,<3; python_version > '3'"]
[dependency-groups]
dev = ["beta_tool>=1"]
"""
HASH = " \\\n    --hash=sha256:00"
LOCK = f"alpha==2.1{HASH}\n"
DEV_LOCK = f"alpha==2.1{HASH}\nbeta-tool==1.0 ; sys_platform != 'win32'{HASH}\n"


def write(root: Path, name: str, text: str) -> list[Path]:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [Path(name)]


@pytest.mark.parametrize(("lines", "verdict"), [(400, []), (401, [False]), (600, [False]), (601, [True])])
def test_file_sizes(tmp_path: Path, lines: int, verdict: list[bool]) -> None:
    files = write(tmp_path, "broker/big.py", "x = 1\n" * lines)
    assert [finding.fatal for finding in check_sizes(tmp_path, files)] == verdict


def test_long_function_fails_but_not_in_tests(tmp_path: Path) -> None:
    text = "async def long():\n" + "    x = 1\n" * 80
    (finding,) = check_sizes(tmp_path, write(tmp_path, "tui/a.py", text))
    assert finding.fatal
    assert "long has 81 lines" in str(finding)
    assert not list(check_sizes(tmp_path, write(tmp_path, "tui/b.py", text.replace("    x = 1\n", "", 1))))
    assert not list(check_sizes(tmp_path, write(tmp_path, "tests/a.py", text)))


@pytest.mark.parametrize(
    "leak",
    [
        "https://files.python" + "hosted.org/packages/x",
        "index = py" + "pi.org",
        "see https://registry.npm" + "js.org/x",
        "deb http://deb.deb" + "ian.org/debian",
        "cd /wo" + "rk/main",
        "cat /tmp/bash" + "_jobs.0/x",
        "cd {root}/docs",
    ],
)
def test_leak_is_found_in_any_text_file(tmp_path: Path, leak: str) -> None:
    files = write(tmp_path, "docs/page.md", f"fine\n{leak.format(root=tmp_path)}\n")
    (finding,) = check_leaks(tmp_path, files)
    assert finding.fatal
    assert finding.where == "docs/page.md:2"


def test_harmless_words_are_no_leak(tmp_path: Path) -> None:
    text = "the package index, ../shared/design, /workspace/main, deb and pip, example.org"
    assert not list(check_leaks(tmp_path, write(tmp_path, "README.md", text)))


def test_locks_in_step() -> None:
    assert not list(check_locks(PYPROJECT, LOCK, DEV_LOCK))


@pytest.mark.parametrize(
    ("lock", "dev_lock", "complaint"),
    [
        ("", DEV_LOCK, "requirements.lock: Alpha of pyproject.toml is missing"),
        (LOCK, LOCK, "requirements-dev.lock: beta_tool of pyproject.toml is missing"),
        (LOCK.replace("2.1", "3.0"), DEV_LOCK.replace("2.1", "3.0"), "Alpha 3.0 does not fit <3,>=2"),
        (LOCK, DEV_LOCK.replace("2.1", "2.2"), "alpha is not 2.1 as in requirements.lock"),
        (LOCK.replace(HASH, ""), DEV_LOCK, "requirements.lock: alpha==2.1 has no hash"),
    ],
)
def test_locks_out_of_step(lock: str, dev_lock: str, complaint: str) -> None:
    findings = [str(finding) for finding in check_locks(PYPROJECT, lock, dev_lock)]
    assert any(complaint in finding for finding in findings), findings
    assert all("run ./dev lock" in finding for finding in findings)


def test_files_of_an_archive_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    write(tmp_path, "a/b.py", "")
    write(tmp_path, ".venv/lib/c.py", "")
    assert tracked_files(tmp_path) == [Path("a/b.py")]
