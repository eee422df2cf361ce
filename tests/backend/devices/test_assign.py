"""Who may be given which device, and what a device that is out of service may send."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from sqlmodel import Session

from backend.database.sets import execute
from backend.devices.assign import OtherClinic, Retired, assign
from backend.errors import NotFound, Unprocessable
from backend.ingest.renumber import renumber
from backend.ingest.vital_items import read
from backend.ingest.vitals import accept_vitals
from tests import builders
from tests.backend.ingest.ward import Ward
from tests.backend.ingest.world import (
    World,
    a_world,
    doses_at_eight,
    eight,
    heard,
    labels,
    opening,
    send,
    tell,
)

HOUR = timedelta(hours=1)
NOW = eight() + HOUR


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


def retire(session: Session, world: World) -> None:
    execute(session, "UPDATE device SET retired_at = :at", at=eight())


def test_a_box_out_of_service_can_still_be_emptied(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world)
    retire(session, world)

    verdicts = send(session, world, [opening(world, 1, eight())], now=NOW)
    verdicts += tell(session, world, [heard(world, 1, NOW)], now=NOW)
    epoch = renumber(session, world.device_id, after=(1, 1), reason="reset", now=NOW)

    assert [verdict.verdict for verdict in verdicts] == ["new", "new"]
    assert list(labels(session, world).values()) == ["on_time"]
    assert epoch == 2


def test_a_wearable_out_of_service_brings_its_last_samples(session: Session) -> None:
    ward = Ward(session)
    execute(session, "UPDATE device SET retired_at = :at", at=builders.NOW)
    body = orjson.dumps({"segments": [ward.segment()]})

    answer: Any = accept_vitals(session, read(body), by=ward.gateway, now=builders.NOW)

    assert [one["verdict"] for one in answer["segments"]] == ["new"]


def test_a_device_out_of_service_is_given_to_nobody(
    session: Session, world: World
) -> None:
    retire(session, world)
    device, patient = world.device_id, world.patient_id

    with pytest.raises(Retired):
        assign(session, device, patient, compartment=1, since=eight())
    with pytest.raises(Retired):
        assign(session, device, patient, compartment=1, since=eight() - HOUR, until=NOW)


def test_who_had_a_device_before_it_went_out_of_service_can_be_entered_later(
    session: Session, world: World
) -> None:
    """Or what is found in it afterwards could never be theirs."""
    retire(session, world)

    made = assign(
        session,
        world.device_id,
        world.patient_id,
        compartment=1,
        since=eight() - HOUR,
        until=eight(),
    )

    assert made.until == eight()


def test_a_device_serves_patients_of_its_clinic_only(
    session: Session, world: World
) -> None:
    elsewhere = builders.a_patient(session, builders.a_clinic(session), phone=None)

    with pytest.raises(OtherClinic):
        assign(
            session, world.device_id, elsewhere.patient_id, compartment=1, since=eight()
        )


def test_a_device_serves_a_regimen_of_its_patient_only(
    session: Session, world: World
) -> None:
    """Or its records would be doses of a medicine that the patient does not take."""
    second = builders.a_patient(session, world.clinic, phone=None)
    theirs = world.regimen.regimen_id

    for patient_id, regimen_id in (
        (second.patient_id, theirs),
        (world.patient_id, uuid4()),
    ):
        with pytest.raises(NotFound):
            assign(
                session,
                world.device_id,
                patient_id,
                regimen_id=regimen_id,
                compartment=1,
                since=eight(),
            )


@pytest.mark.parametrize("until", [eight(), eight() - HOUR])
def test_an_assignment_ends_after_it_began(
    session: Session, world: World, until: datetime
) -> None:
    device, patient = world.device_id, world.patient_id

    with pytest.raises(Unprocessable):
        assign(session, device, patient, compartment=1, since=eight(), until=until)
