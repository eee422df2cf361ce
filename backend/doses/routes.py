"""The dose events of a patient over HTTP, for programs that read or correct them."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import RowMapping

from backend.audit.record import record
from backend.clock import domain_now
from backend.database import transaction
from backend.doses.listed import Stretch, listed
from backend.doses.sure import sure
from backend.errors import Unprocessable
from backend.people.readers import Reader, only, signed_in

MOST = 200

router = APIRouter(prefix="/v1/patients/{patient_id}", tags=["doses"])


class Asked(BaseModel):
    """Events with from <= occurred_at < until, instants with their zone."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = None
    after: UUID | None = None
    limit: Annotated[int, Field(ge=1, le=MOST)] = 50

    def stretch(self) -> Stretch:
        """Return which events are meant; raises Unprocessable for an empty span."""
        if self.since and self.until and self.since >= self.until:
            raise Unprocessable("`from` must lie before `until`.")
        return Stretch(self.since, self.until, self.after)


class ByDevice(BaseModel):
    """Which record of which device it was: (device_id, epoch, sequence) names it."""

    device_id: UUID
    maker: str | None
    model: str | None
    compartment: int | None
    epoch: int | None
    sequence: int | None


class ScheduledDose(BaseModel):
    """The dose it counts for; `due_at` null: some time within the window."""

    occurrence: str
    dose_day: date
    due_at: datetime | None
    window_from: datetime
    window_until: datetime
    label: str


class Ruling(BaseModel):
    """What a clinician says it was, while that is in force; `at` is domain time."""

    override_id: UUID
    label: str
    reason: str
    clinician_id: UUID
    clinician: str | None
    at: datetime


class Voided(BaseModel):
    """Since when it counts for nothing, by whom and why."""

    at: datetime
    reason: str | None
    by: UUID | None


class Source(BaseModel):
    """How it came here. `received_at` is when a device's record did, in real time."""

    kind: Literal["gateway", "cloud", "import", "patient"]
    bridge_id: UUID | None
    received_at: datetime | None


class DoseEvent(BaseModel):
    """What was recorded, what it counts as and how sure that is.

    `dose_event_id` is the id that overrides take. `said` is what the device or the
    patient called it, `label` what matching made of it, all considered. `confidence` is
    between 0 and 1 and null where there was nothing to match: no regimen, or void.
    The true instant lies within `uncertainty_s` seconds of `occurred_at`.
    """

    dose_event_id: UUID
    regimen_id: UUID | None
    drug: str | None
    evidence: Literal["container_opened", "dose_delivered", "self_reported"]
    said: str | None
    label: str
    confidence: float | None
    occurred_at: datetime
    uncertainty_s: float
    recorded_at: datetime
    amount: Decimal | None
    unit: str | None
    live: bool
    device: ByDevice | None
    scheduled: ScheduledDose | None
    override: Ruling | None
    void: Voided | None
    source: Source


class DoseEvents(BaseModel):
    """Newest first; ask again with `after` = `next` until it is null."""

    dose_events: list[DoseEvent]
    next: UUID | None


@router.get("/dose-events")
def of_patient(
    patient_id: UUID,
    reader: Annotated[Reader, Depends(signed_in)],
    asked: Annotated[Asked, Query()],
) -> DoseEvents:
    """Return a patient's dose events by pages, void ones too; audited."""
    only(reader, "clinician", "patient")
    stretch, now = asked.stretch(), domain_now()
    with transaction() as session:
        found = listed(
            session, reader, patient_id, stretch, most=asked.limit + 1, now=now
        )
        shown = found[: asked.limit]
        confidence = sure(session, reader, patient_id, shown, now=now)
        record(session, reader.actor(), "dose_events_seen", patients=[patient_id])
    page = [told(row, confidence) for row in shown]
    return DoseEvents(
        dose_events=page,
        next=page[-1].dose_event_id if len(found) > asked.limit else None,
    )


def told(row: RowMapping, confidence: Mapping[UUID, float]) -> DoseEvent:
    """Return a row of the list with its parts in their places."""
    return DoseEvent.model_validate(
        {
            **row,
            "confidence": confidence.get(row["dose_event_id"]),
            **{part: _part(row, part) for part in PARTS},
        }
    )


PARTS = ("device", "scheduled", "override", "void", "source")


def _part(row: RowMapping, name: str) -> Mapping[str, object] | None:
    """Return the columns of a part by their own names, None where it is not there."""
    part = {
        column.removeprefix(f"{name}_"): value
        for column, value in row.items()
        if column.startswith(f"{name}_")
    }
    return part if any(value is not None for value in part.values()) else None
