"""What the bridge reports of itself has an identity of its own."""

from datetime import UTC, datetime

from device_bridge.events import Kind, plain_event

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)


def gap(low: int, high: int, at: datetime = AT) -> str:
    return plain_event("d", Kind.GAP, at, {"from": low, "to": high})["id"]


def test_two_things_noticed_at_one_instant_are_two() -> None:
    # A clock that is coarse, or was set back, shows an instant more than once.
    assert gap(1, 3) != gap(6, 6)


def test_what_is_told_again_is_the_same() -> None:
    assert gap(1, 3) == gap(1, 3)
    assert len(gap(1, 3)) <= 128 - len("00000000-0000-0000-0000-000000000000")
