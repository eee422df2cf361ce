"""Whatever is killed during a back-fill, every record is stored exactly once."""

import logging
import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from backend import database, migrations
from backend.audit.record import SYSTEM
from backend.clock import DomainClock, domain_clock, real_now, start_demo
from backend.database import transaction
from backend.database.address import embedded_at
from backend.people.bridges import new_code, pair
from backend.people.readers import Sender
from tests import builders
from tests.conftest import pointed_at
from tests.crash import people
from tests.crash.people import Bearer
from tests.crash.system import VICTIMS, System, a_system, wait_until

log = logging.getLogger(__name__)

SEEDS = range(20)
ONE_SEED = os.environ.get("CRASH_SEED")  # to repeat one


@dataclass(frozen=True)
class Trial:
    """How many boxes with how long a past, and how often something is killed.

    `patience` is how many seconds a kill waits for the back-fill to come so far.
    """

    seed: int
    boxes: int
    days: int
    kills: int
    patience: float
    drained_within: float


@dataclass(frozen=True)
class Stage:
    """What was seeded: boxes that are played, and a twin of each that is not."""

    token: str
    sender: Sender
    bearers: list[Bearer]
    twins: list[Bearer]

    @property
    def records(self) -> int:
        return sum(len(one.opened) for one in self.bearers)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [int(ONE_SEED)] if ONE_SEED else [1, 2])
def test_kills_during_a_back_fill(seed: int) -> None:
    run(Trial(seed, boxes=6, days=150, kills=6, patience=4.0, drained_within=40.0))


@pytest.mark.soak
@pytest.mark.parametrize("seed", [int(ONE_SEED)] if ONE_SEED else SEEDS)
def test_two_minutes_of_kills(seed: int) -> None:
    run(Trial(seed, boxes=20, days=700, kills=16, patience=10.0, drained_within=120.0))


def run(trial: Trial) -> None:
    luck = Random(trial.seed)
    with a_system() as system:
        socket = system.start_database()
        with pointed_at(embedded_at(socket)):
            stage, clock = seeded(trial, luck, socket)
            system.write_plan(people.plan_of(stage.bearers, clock))
            system.start(stage.token)
            killed = torment(system, trial, luck, stage.records)
            told = f"seed {trial.seed}, {stage.records} records, killed {killed}"
            log.warning(told)
            assert wait_until(lambda: drained(system, stage), trial.drained_within), (
                f"{people.stored()} stored: {told}"
            )
            goes_on(system, stage, clock)


def drained(system: System, stage: Stage) -> bool:
    died = system.mend()
    assert not died, f"{died} ended by themselves"
    return people.stored() >= stage.records


def seeded(trial: Trial, luck: Random, socket: Path) -> tuple[Stage, DomainClock]:
    """Migrate, and write everybody; return them and the domain clock."""
    at = embedded_at(socket)
    now = real_now()
    migrations.migrate(
        database.owner_engine(), app_role=at.app.username, today=now.date()
    )
    people.partitions(now, trial.days)
    with transaction() as session:
        clock = start_demo(session, speed=1.0, real=now)
        clinic = builders.a_clinic(session, zone="UTC")
        product = builders.a_product(session, builders.a_manufacturer(session))
        code = new_code(
            session, clinic.clinic_id, kind="gateway", actor=SYSTEM, real=now
        )
        paired = pair(session, code, "ward 3", real=now)
        bearers: list[Bearer] = []
        twins: list[Bearer] = []
        for n in range(trial.boxes):
            opened = people.openings(trial.days, now, luck)
            for name, group in (("B", bearers), ("twin ", twins)):
                one = people.a_bearer(
                    session,
                    clinic,
                    product,
                    f"{name}{n}",
                    opened,
                    days=trial.days,
                    now=now,
                )
                group.append(one)
    by = Sender(paired.bridge_id, clinic.clinic_id, "gateway")
    return Stage(paired.token, by, bearers, twins), clock


def torment(system: System, trial: Trial, luck: Random, records: int) -> str:
    """Kill one process after another as the back-fill goes on; return who, and when.

    Each at a random share of what is to be stored, or soon where that does not come.
    """
    killed: list[str] = []
    while len(killed) < trial.kills:
        share = len(killed) / trial.kills + luck.random() / trial.kills
        wanted = share * records
        wait_until(
            lambda wanted=wanted: people.stored() >= wanted, luck.uniform(0.5, 4)
        )
        time.sleep(luck.uniform(0.0, 0.2))
        victim = luck.choice(VICTIMS)
        killed.append(f"{victim} at {people.stored()}")
        system.kill(victim)
        time.sleep(luck.uniform(0.0, 0.3))
        system.mend()
    return ", ".join(killed)


def goes_on(system: System, stage: Stage, clock: DomainClock) -> None:
    """Nothing is wrong, and after a stop and a start a further dose arrives."""
    settle(stage)
    system.stop()
    socket = system.start_database()
    with pointed_at(embedded_at(socket)):
        for one, twin in zip(stage.bearers, stage.twins, strict=True):
            people.assert_stored_once(one)
            people.assert_as_in_one_go(one, twin, stage.sender)
        people.assert_nothing_odd()
        before = people.stored()
        soon = domain_clock().at(real_now()) + timedelta(seconds=3)
        more = {stage.bearers[0].serial: soon}
        system.write_plan(people.plan_of(stage.bearers, clock, more))
        system.start(stage.token)
        assert wait_until(lambda: people.stored() == before + 1, 30), "no further dose"


def settle(stage: Stage) -> None:
    """Wait until every box was heard with all its records: then labels are final."""
    wanted = {one.device_id: len(one.opened) for one in stage.bearers}
    assert wait_until(lambda: people.heard(list(wanted)) == wanted, 60), "not heard"
