"""The forty of the demo: invented, and out of everybody's reach."""

from datetime import UTC, datetime

from backend.demo.cast import cast

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PEOPLE = list(cast(NOW))


def test_nobody_has_the_number_of_a_demo_patient() -> None:
    # Ofcom gives +44 7700 900000 to 900999 to nobody: they are for fiction.
    numbers = [one.phone for one in PEOPLE]

    assert len(set(numbers)) == len(PEOPLE)
    for number in numbers:
        assert number.startswith("+447700900")
        assert len(number) == len("+447700900000")
