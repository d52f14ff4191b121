"""Regular expressions that people write: RE2, and no text that it could not take."""

from __future__ import annotations

import pytest

from broker.model.pattern import fits, found, problem


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "missing )"),
        ("(?=a)", "invalid perl operator"),
        (r"(a)\1", "invalid escape"),
        ("a{2000}", "repetition"),
    ],
)
def test_what_is_no_pattern_is_told(pattern: str, why: str) -> None:
    assert why in str(problem(pattern))


def test_a_pattern_is_found_in_a_text_and_fits_the_whole() -> None:
    assert problem("ab+") is None
    assert found("b+", "abbc")
    assert not found("b+", "ac")
    assert fits("ab+", "abb")
    assert not fits("ab+", "abbc")
    assert not fits("ab+", "abb\n")
    assert found("(?i)ÄB", "x äb")


def test_bytes_that_are_no_text_stop_nothing() -> None:
    assert found("rm", "\udcff rm")
    assert not fits("rm", "rm\udcff")


def test_a_pattern_that_would_backtrack_for_ever_is_no_trouble() -> None:
    """With a backtracking engine this would not end."""
    assert not fits("(a*)*b", "a" * 10_000)
