"""Limits against strangers, as pure counting."""

from __future__ import annotations

import pytest

from broker.relay.admission import MAX_SOURCES, Admission, AdmissionLimits, source_of

SECOND = 1_000_000
A, B = "192.0.2.1", "192.0.2.2"


def admission(**limits: int) -> Admission:
    given = {
        "starts": 100,
        "starts_per_source": 100,
        "connections_per_source": 100,
        "failures": 100,
        "window": 60 * SECOND,
    }
    return Admission(AdmissionLimits(**{**given, **limits}))


def fail(door: Admission, address: str, now: int = 0) -> None:
    assert door.arrive(address, now) is None
    door.leave(address, False, now, failed=True)


def test_starts_are_bounded_over_all_and_free_once_logged_in() -> None:
    """lesson 6"""
    door = admission(starts=2)
    assert door.arrive(A, 0) is None
    assert door.arrive(B, 0) is None
    assert door.arrive("192.0.2.3", 0) == "too many logins in progress"
    door.authenticated(A)
    assert door.arrive("192.0.2.3", 0) is None


def test_starts_of_one_source_leave_room_for_others() -> None:
    """lesson 6"""
    door = admission(starts_per_source=1)
    assert door.arrive(A, 0) is None
    assert door.arrive(A, 0) == "too many logins in progress from this source"
    assert door.arrive(B, 0) is None
    door.leave(A, False, 0, failed=False)
    assert door.arrive(A, 0) is None


def test_connections_count_until_they_leave() -> None:
    door = admission(connections_per_source=1)
    assert door.arrive(A, 0) is None
    door.authenticated(A)
    assert door.arrive(A, 0) == "too many connections from this source"
    door.leave(A, True, 0, failed=False)
    assert door.arrive(A, 0) is None


def test_failures_shut_a_source_for_the_window() -> None:
    """lesson 28"""
    door = admission(failures=2, window=10 * SECOND)
    fail(door, A, 0)
    fail(door, A, 4 * SECOND)
    assert door.arrive(A, 9 * SECOND) == "too many failed logins from this source"
    assert door.arrive(B, 9 * SECOND) is None
    assert door.arrive(A, 11 * SECOND) is None, "the first failure is out of the window"


def test_success_does_not_wipe_failures_away() -> None:
    """A guesser with one account of his own may not reset the count with it."""
    door = admission(failures=2)
    fail(door, A)
    assert door.arrive(A, 0) is None
    door.authenticated(A)
    door.leave(A, True, 0, failed=False)
    fail(door, A)
    assert door.arrive(A, 0) == "too many failed logins from this source"


def test_connection_without_an_attempt_is_no_failure() -> None:
    door = admission(failures=1)
    for _ in range(10):
        assert door.arrive(A, 0) is None
        door.leave(A, False, 0, failed=False)


def test_memory_of_sources_is_bounded() -> None:
    """lesson 6: the oldest is forgotten, not the newest refused."""
    door = admission(failures=1)
    for number in range(MAX_SOURCES + 1):
        fail(door, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert door.arrive("10.0.0.0", 0) is None
    assert door.arrive("10.0.0.1", 0) is not None


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_source_is_an_address_or_a_network_of_one_customer(address: str, source: str) -> None:
    assert source_of(address) == source
