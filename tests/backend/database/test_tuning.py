from pathlib import Path

import pytest

from backend.database.tuning import tuning

GIGABYTE = 1 << 30


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(GIGABYTE, "128MB"), (4 * GIGABYTE, "256MB"), (4 * GIGABYTE - 1, "255MB")],
)
def test_a_container_gets_a_share_of_what_it_may_use(
    tmp_path: Path, allowed: int, expected: str
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{allowed}\n")

    assert tuning(limit)["shared_buffers"] == expected


def test_without_a_limit_it_is_a_share_of_the_machine_within_bounds(
    tmp_path: Path,
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("max\n")

    unlimited = tuning(limit)["shared_buffers"]

    assert unlimited == tuning(tmp_path / "absent")["shared_buffers"]
    assert 128 <= int(unlimited.removesuffix("MB")) <= 2048
