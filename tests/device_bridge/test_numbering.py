"""A box that was reset loses nothing by what was asked of it before."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from device_bridge.gatt import racp
from device_bridge.gatt.racp import Opcode, Operator
from tests.device_bridge.fake_box import Bench, FakeBox, a_bench, an_opening
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.stories import until

OLD, NEW = 0x7EC13F9A, 5


def a_box(numbers: Iterable[int], store: int | None = OLD) -> FakeBox:
    return FakeBox({n: an_opening(n, store) for n in numbers}, store=store)


def once(
    box: FakeBox, when: Callable[[racp.Request], bool], numbers: int, store: int | None
) -> None:
    """Reset the box, and fill it again, when it is first asked something."""

    def reset(request: racp.Request) -> None:
        if when(request):
            box.meanwhile = lambda _: None
            box.store = store
            box.records = {n: an_opening(n, store) for n in range(1, numbers + 1)}

    box.meanwhile = reset


def is_deletion(request: racp.Request) -> bool:
    return request.opcode is Opcode.DELETE_STORED


def is_transfer(request: racp.Request) -> bool:
    return request.operator is Operator.GREATER_OR_EQUAL


async def is_emptied(bench: Bench) -> None:
    """Link until nothing is left; each link begins with a sign of life."""
    for _ in range(6):
        bench.backend.heard.clear()
        async with bench.linked():
            await until(lambda: bench.heard)
            if not bench.box.records:
                return
    raise AssertionError(sorted(bench.box.records))


def told(box: FakeBox, folder: Path) -> list[int]:
    """Return the numbers that reached the backend until the box was empty."""

    async def story(_loop: StillLoop) -> list[int]:
        async with a_bench(box, folder) as bench:
            await is_emptied(bench)
            assert bench.gaps == []
            return sorted(bench.sequences)

    return at_once(story)


@pytest.mark.parametrize("refilled", [1, 3, 6])
def test_a_box_reset_and_filled_again_before_it_deletes_deletes_nothing_of_that(
    tmp_path: Path, refilled: int
) -> None:
    box = a_box((1, 2, 3))
    once(box, is_deletion, refilled, NEW)

    assert told(box, tmp_path) == sorted([1, 2, 3, *range(1, refilled + 1)])
    deletions = [r for r in box.requests if is_deletion(r)]
    assert [r.store for r in deletions] == [OLD, NEW]


def test_a_box_reset_before_it_sends_what_is_new_is_read_from_the_start(
    tmp_path: Path,
) -> None:
    box = a_box((1, 2, 3))

    async def story(_loop: StillLoop) -> None:
        async with a_bench(box, tmp_path) as bench:
            await is_emptied(bench)
            box.records = {4: an_opening(4, OLD)}
            once(box, is_transfer, 6, NEW)
            await is_emptied(bench)
            assert sorted(bench.sequences) == [1, 1, 2, 2, 3, 3, 4, 5, 6]
            assert bench.gaps == []
            kinds = [event["kind"] for event in bench.backend.events.values()]
            assert kinds.count("reset") == 1

    at_once(story)


def test_what_a_reset_box_tells_live_is_of_its_new_store(tmp_path: Path) -> None:
    box = a_box((1, 2, 3))

    async def story(_loop: StillLoop) -> None:
        async with a_bench(box, tmp_path) as bench:
            await is_emptied(bench)
            async with bench.linked():
                await until(lambda: box.is_live)
                box.store = NEW
                box.records = {n: an_opening(n, NEW) for n in range(1, 4)}
                box.happens(4)
                await until(lambda: len(bench.sequences) == 7)
            assert sorted(bench.sequences) == [1, 1, 2, 2, 3, 3, 4]
            assert bench.gaps == []

    at_once(story)


def test_a_box_that_names_its_store_and_cannot_be_asked_for_it_is_emptied(
    tmp_path: Path,
) -> None:
    box = a_box((1, 2, 3))
    box.store = None

    assert told(box, tmp_path) == [1, 2, 3]


def test_what_a_box_without_stores_loses_by_a_reset_at_that_moment_is_a_gap(
    tmp_path: Path,
) -> None:
    # Unless it has counted further meanwhile than it is told to delete.
    box = a_box((1, 2, 3), None)
    once(box, is_deletion, 2, None)

    async def story(_loop: StillLoop) -> None:
        async with a_bench(box, tmp_path) as bench:
            await is_emptied(bench)
            box.records = {3: an_opening(3)}
            await is_emptied(bench)
            assert sorted(bench.sequences) == [1, 2, 3, 3]
            assert bench.gaps == [{"from": 1, "to": 2}]

    at_once(story)
