"""What the fault matrix found, each once with its name."""

from pathlib import Path

import pytest

from tests.device_bridge.faults.steps import Step
from tests.device_bridge.faults.strikes import Case, Fault, Strike
from tests.device_bridge.faults.world import play


def struck(
    *strikes: tuple[Fault, Step, int], small: bool = False, seed: int = 0
) -> Case:
    drawn = tuple(Strike(*strike) for strike in strikes)
    return Case(drawn, small=small, seed=seed, away_s=400.0)


MENDED = {
    "the record of a clock we set is dated by the clock as it was set": struck(
        (Fault.CLOCK_SET, Step.SCAN, 1)
    ),
    "what comes while the clock is set is read again": struck(
        (Fault.CLOCK_BACK, Step.RECORD, 3)
    ),
    "a reset during a link is noticed": struck((Fault.RESET, Step.SCAN, 1)),
    "a reset is noticed before anything of the old numbers was committed": struck(
        (Fault.RESET, Step.UPLOAD, 1), (Fault.BACKEND_AWAY, Step.ANSWER, 1)
    ),
    "a record damaged on its way is read again before it is quarantined": struck(
        (Fault.CORRUPT, Step.RECORD, 2)
    ),
    "a misread clock dates nothing": struck((Fault.CORRUPT, Step.READ_CLOCK, 4)),
    "a clock misread by a few seconds costs no record its time": struck(
        (Fault.CORRUPT, Step.READ_CLOCK, 4), seed=2716756089
    ),
    "what was set back before its clock began stands at the beginning": struck(
        (Fault.CLOCK_LOST, Step.DELETE, 1),
        (Fault.CLOCK_BACK, Step.LIVE, 3),
        small=True,
    ),
    "a clock moved behind a change is dated by the reading before both": struck(
        (Fault.CLOCK_BACK, Step.ANSWER, 22),
        (Fault.CLOCK_MOVED, Step.REQUEST, 23),
        small=True,
    ),
    "what a box made before a reset is stored when the backend is back": struck(
        (Fault.BACKEND_AWAY, Step.ANSWER, 23), (Fault.RESET, Step.REQUEST, 39)
    ),
    "a bond that broke off may be made again": struck(
        (Fault.SIGNAL_LOST, Step.BOND, 13)
    ),
    "a bridge killed while it bonds may bond again": struck(
        (Fault.KILLED, Step.BOND, 13)
    ),
    "a full disk ends no bridge": struck((Fault.DISK_FULL, Step.UPLOAD, 1)),
    "a bridge started on a disk that takes nothing waits for it": struck(
        (Fault.READ_ONLY, Step.START_LIVE, 1), (Fault.KILLED, Step.SCAN, 3)
    ),
    "a box that is reset and filled again before it is told to delete": struck(
        (Fault.RESET, Step.SPOOL, 1), (Fault.MEMORY_FULL, Step.ANSWER, 2), small=True
    ),
    "what a box drops while it is read again is here already": struck(
        (Fault.CLOCK_SET, Step.SPOOL, 1),
        (Fault.CLOCK_SET, Step.IDENTIFY, 4),
        small=True,
    ),
    "a bridge killed while it discovers is followed by one": struck(
        (Fault.KILLED, Step.DISCOVER, 1)
    ),
    "a clock that is decades off can be set and told of": struck(
        (Fault.CLOCK_SET, Step.DELETED, 2), (Fault.CLOCK_LOST, Step.LIVE, 4), small=True
    ),
}


@pytest.mark.parametrize("name", list(MENDED))
def test_it_stays_mended(name: str, tmp_path: Path) -> None:
    assert play(MENDED[name], tmp_path).breaches == []
