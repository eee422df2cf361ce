"""What clinicians say of dose records, over HTTP: said, read, and taken back."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, status
from pydantic import BaseModel, ConfigDict, Field

from backend.audit.record import record
from backend.clock import domain_now
from backend.database import transaction
from backend.ingest.overrule import overrule, withdraw
from backend.ingest.overruled import overruled
from backend.people.once import Call, once, this_call
from backend.people.readers import Reader, only, signed_in

MOST = 200

router = APIRouter(prefix="/v1/patients/{patient_id}", tags=["doses"])
Asking = Annotated[Reader, Depends(signed_in)]
Calling = Annotated[Call, Depends(this_call)]
Word = Literal["therapeutic", "prime", "refill", "curiosity", "pocket"]


class Asked(BaseModel):
    """What was said of all of a patient's dose events, or of one."""

    model_config = ConfigDict(extra="forbid")

    dose_event_id: UUID | None = None
    after: UUID | None = None
    limit: Annotated[int, Field(ge=1, le=MOST)] = 50


class Withdrawal(BaseModel):
    """Why what was said no longer holds."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    reason: Annotated[str, Field(min_length=1, max_length=200)]


class Said(Withdrawal):
    """What a dose event was, whatever device and rules took it for, and why."""

    label: Word


class Override(BaseModel):
    """What was said of a dose event; `label` null took back what was said before.

    `at` is domain time. `in_force` is false once something newer was said, and
    `event_label` is what the event counts as now, all considered.
    """

    override_id: UUID
    dose_event_id: UUID
    label: Word | None
    reason: str
    clinician_id: UUID
    clinician: str | None
    at: datetime
    in_force: bool
    occurred_at: datetime
    evidence: str
    event_label: str


class Overrides(BaseModel):
    """Newest first; ask again with `after` = `next` until it is null."""

    overrides: list[Override]
    next: UUID | None


class Made(BaseModel):
    override_id: UUID
    dose_event_id: UUID
    label: Word | None


@router.get("/overrides")
def of_patient(
    patient_id: UUID, reader: Asking, asked: Annotated[Asked, Query()]
) -> Overrides:
    """Return what was said of a patient's dose events, or of one; audited."""
    only(reader, "clinician", "patient")
    with transaction() as session:
        found = overruled(
            session,
            reader,
            patient_id,
            dose_event_id=asked.dose_event_id,
            after=asked.after,
            most=asked.limit + 1,
            now=domain_now(),
        )
        record(session, reader.actor(), "overrides_seen", patients=[patient_id])
    page = [Override.model_validate(dict(row)) for row in found[: asked.limit]]
    return Overrides(
        overrides=page,
        next=page[-1].override_id if len(found) > asked.limit else None,
    )


@router.post(
    "/dose-events/{dose_event_id}/overrides", status_code=status.HTTP_201_CREATED
)
def say(patient_id: UUID, dose_event_id: UUID, said: Said, call: Calling) -> Made:
    """Say what a dose event was. What follows is computed again; nobody is told.

    409 `nothing_to_change` when that is what holds already, or the record is void.
    """
    now = domain_now()
    with transaction() as session:

        def act() -> Made:
            made = overrule(
                session,
                call.reader,
                patient_id,
                dose_event_id,
                label=said.label,
                reason=said.reason,
                now=now,
            )
            return Made.model_validate(made, from_attributes=True)

        return once(session, call, patient_id, Made, act, now=now)


@router.post("/overrides/{override_id}/withdrawal", status_code=status.HTTP_201_CREATED)
def take_back(
    patient_id: UUID, override_id: UUID, why: Withdrawal, call: Calling
) -> Made:
    """Take back what was said; device and rules decide again. It stays on the list.

    409 `nothing_to_change` when it does not hold any more.
    """
    now = domain_now()
    with transaction() as session:

        def act() -> Made:
            made = withdraw(
                session,
                call.reader,
                patient_id,
                override_id,
                reason=why.reason,
                now=now,
            )
            return Made.model_validate(made, from_attributes=True)

        return once(session, call, patient_id, Made, act, now=now)
