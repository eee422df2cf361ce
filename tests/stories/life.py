"""A patient's part in a story, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlmodel import Session

from backend.audit.record import Actor
from backend.database import transaction
from backend.devices.assign import assign, end
from backend.ingest.extend import schedule
from backend.people.tables import Patient
from backend.people.zones import move
from backend.regimens.schedule import expand_past
from backend.regimens.tables import Regimen
from backend.supply.use import dispense
from tests import builders
from tests.stories.clinic import DAY, Box, Story

MORNINGS: dict[str, object] = {"kind": "clock_times", "times": ["08:00"]}


@dataclass(frozen=True)
class Life:
    """One patient's part in a story: a regimen and the box it comes from."""

    patient: Patient
    regimen: Regimen

    @property
    def patient_id(self) -> UUID:
        return self.patient.patient_id

    def moves(self, story: Story, zone: str) -> None:
        """Confirm another zone from now on, as the patient's page does."""
        with transaction() as session:
            who = Actor("patient", self.patient_id, None)
            move(
                session,
                self.patient_id,
                zone,
                effective_from=story.now,
                actor=who,
                now=story.now,
            )
            schedule(session, [self.patient_id], now=story.now)


def a_life(
    story: Story,
    box: Box | None,
    *,
    timing: dict[str, object] = MORNINGS,
    tablets: int = 60,
    since: datetime | None = None,
    criticality: str = "standard",
    **patient: Any,  # noqa: ANN401
) -> Life:
    """Return a patient whose regimen begins now (or began then), served by a box.

    The box was there a day before: a window that began without one is never missed.
    """
    began = since or story.now
    with transaction() as session:
        person = builders.a_patient(
            session, story.clinic, team=(story.clinician,), **patient
        )
        makers = story.manufacturer.organization_id
        builders.a_consent(session, person, "supply", makers)
        regimen = builders.a_regimen(
            session,
            person,
            timing=timing,
            product=story.product,
            effective_from=began,
            criticality=criticality,
        )
        life = Life(person, regimen)
        if box is not None:
            give(session, box, life, since=began - DAY)
        dispense(
            session,
            person.patient_id,
            story.product.gtin,
            Decimal(tablets),
            cause="pharmacy/1",
            at=began,
            now=story.now,
        )
        if since is not None:
            expand_past(
                session,
                person.patient_id,
                regimen.regimen_id,
                first=since.date(),
                last=(story.now - DAY).date(),
            )
        schedule(session, [person.patient_id], now=story.now)
    return life


def give(session: Session, box: Box, life: Life, *, since: datetime) -> None:
    assign(
        session,
        box.device_id,
        life.patient_id,
        regimen_id=life.regimen.regimen_id,
        since=since,
    )


def take_back(box: Box, *, at: datetime) -> None:
    with transaction() as session:
        end(session, box.device_id, 0, at=at)


def labels(story: Story, life: Life) -> dict[str, str]:
    rows = story.rows(
        "SELECT occurrence, label FROM scheduled_dose "
        "WHERE patient_id = :id AND window_from <= :now ORDER BY window_from",
        id=life.patient_id,
        now=story.now,
    )
    return {row["occurrence"]: row["label"] for row in rows}


def ever(story: Story, life: Life) -> set[str]:
    """Return every label that any dose of this patient ever had."""
    rows = story.rows(
        "SELECT before, after FROM label_change WHERE patient_id = :id",
        id=life.patient_id,
    )
    return {word for row in rows for word in (row["before"], row["after"])}


def alerts(story: Story, life: Life) -> list[tuple[str, str]]:
    rows = story.rows(
        "SELECT split_part(rule, ':', 1) AS rule, state FROM alert "
        "WHERE patient_id = :id ORDER BY triggered_at, rule",
        id=life.patient_id,
    )
    return [(row["rule"], row["state"]) for row in rows]


def counts(story: Story, life: Life) -> dict[str, int]:
    (row,) = story.rows(
        "SELECT counts FROM patient_state WHERE patient_id = :id", id=life.patient_id
    )
    return row["counts"]


def on_hand(story: Story, life: Life) -> int:
    (row,) = story.rows(
        "SELECT on_hand FROM stock WHERE patient_id = :id", id=life.patient_id
    )
    return int(row["on_hand"])
