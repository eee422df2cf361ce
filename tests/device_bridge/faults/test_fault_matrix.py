"""No fault, and no two of them, lose a record, double one, or date one wrongly.

A sample of pairs runs with every test run; every fault at every step, and two thousand
pairs, in `make soak`. How many cases ran is said at the end of the run.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.device_bridge.faults.steps import Step
from tests.device_bridge.faults.strikes import Case, Fault, pairs, singles
from tests.device_bridge.faults.world import play

SAMPLE, ALL_PAIRS, CHUNK = 100, 2000, 10
SAMPLE_SEED, PAIRS_SEED = 20301, 1
SHORT = 400.0  # seconds the backend is away in the sample; an hour in the soak
SIZES = pytest.mark.parametrize("small", [False, True], ids=["whole", "in parts"])
Record = pytest.FixtureRequest


@cache
def reached(*, small: bool) -> dict[Step, int]:
    """Return how often each step is reached when nothing fails."""
    with TemporaryDirectory() as folder:
        outcome = play(Case((), small), Path(folder))
    assert outcome.breaches == []
    return dict(outcome.reached)


def run(cases: list[Case], request: Record) -> None:
    """Play cases; fails with all that broke a promise."""
    broken: list[str] = []
    for case in cases:
        with TemporaryDirectory() as folder:
            outcome = play(case, Path(folder))
        broken += [f"{case}: {what}" for what in outcome.breaches]
    request.node.user_properties.append(("fault cases", len(cases)))
    assert broken == []


@SIZES
def test_every_step_of_the_protocol_is_reached(small: bool) -> None:  # noqa: FBT001
    assert set(reached(small=small)) == set(Step) - {Step.SET_CLOCK}


@pytest.mark.parametrize("part", range(SAMPLE // CHUNK))
def test_a_sample_of_pairs_of_faults_loses_doubles_and_misdates_nothing(
    part: int, request: Record
) -> None:
    drawn = pairs(reached(small=True), SAMPLE_SEED + part, CHUNK, SHORT)
    run(drawn, request)


@pytest.mark.soak
@SIZES
@pytest.mark.parametrize("fault", list(Fault))
def test_one_fault_at_every_step_loses_doubles_and_misdates_nothing(
    fault: Fault,
    small: bool,  # noqa: FBT001
    request: Record,
) -> None:
    every = singles(reached(small=small), small=small)
    run([case for case in every if case.strikes[0].fault is fault], request)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(ALL_PAIRS // (CHUNK * CHUNK)))
def test_two_faults_lose_double_and_misdate_nothing(part: int, request: Record) -> None:
    drawn = pairs(reached(small=True), PAIRS_SEED + part, CHUNK * CHUNK)
    run(drawn, request)
