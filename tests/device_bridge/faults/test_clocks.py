"""A clock that is moved without a word, over the air: dated right, and told."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from device_bridge.status import read_status
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.faults.strikes import Case
from tests.device_bridge.faults.world import Outcome, World

Events = list[dict[str, Any]]


def told(folder: Path, *, moved_s: float | None) -> tuple[Outcome, Events, str]:
    """Return what a case came to, what the backend was told, and the clock's status.

    The clock of the box is moved when it has been read and the box heard.
    """
    events: Events = []
    shown: list[str] = []

    def story(loop: StillLoop) -> Coroutine[Any, Any, Outcome]:
        async def moving(world: World, by_s: float) -> None:
            while not world.backend.heard:
                await asyncio.sleep(1)
            world.move_clock(by_s)

        async def telling() -> Outcome:
            world = World(loop, Case(()), folder)
            move = asyncio.ensure_future(moving(world, moved_s)) if moved_s else None
            outcome = await world.tell()
            assert move is None or move.done()
            events.extend(world.backend.events.values())
            shown.extend(str(s.clock) for s in read_status(world.gateway.queue))
            return outcome

        return telling()

    outcome = at_once(story)
    return outcome, events, shown[0]


@pytest.mark.parametrize("moved_s", [10_800, -10_800, 30])
def test_a_clock_that_was_moved_without_a_word_is_told_once(
    tmp_path: Path, moved_s: float
) -> None:
    outcome, events, shown = told(tmp_path, moved_s=moved_s)
    assert outcome.breaches == []
    jumps = [event["detail"] for event in events if event["kind"] == "clock_jump"]
    assert [jump["why"] for jump in jumps] == ["moved"]
    assert jumps[0]["moved_s"] == pytest.approx(moved_s, abs=1)
    # If it is set right then, that is no jump, for somebody says so.
    set_by = [e["detail"]["by"] for e in events if e["kind"] == "clock_set"]
    assert set_by == (["bridge"] if abs(moved_s) > 60 else [])
    assert shown.startswith("+30.0" if moved_s == 30 else ("+0.0", "-0.0"))


def test_a_clock_that_runs_tells_nothing_and_is_shown(tmp_path: Path) -> None:
    outcome, events, shown = told(tmp_path, moved_s=None)
    assert outcome.breaches == []
    assert not any(event["kind"].startswith("clock") for event in events)
    assert shown.endswith("s, steady")
