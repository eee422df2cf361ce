"""Prescriptions are written in versions: a change is a new one, the old ones stay."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session, col, func, select

from backend.errors import Conflict, Forbidden, NotFound, Unprocessable
from backend.people.hold import hold
from backend.people.tables import Clinician, Patient
from backend.regimens.chain import window_of
from backend.regimens.interval import shortest_interval
from backend.regimens.schedule import Made, materialise
from backend.regimens.tables import Regimen, RegimenVersion
from backend.regimens.timing import AfterTaken, AsNeeded, Timing
from backend.regimens.timing_json import to_json

CRITICALITIES = ("standard", "high", "critical")
A_YEAR_S = 366 * 86_400


class NotAClinician(Forbidden):
    """Only a clinician of the patient's clinic prescribes."""


class SupersededVersion(Conflict):
    """Somebody changed the regimen since the caller read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prescription:
    """What and when, from `effective_from` to `until`, an empty one being open.

    `least_apart_s` is the least time between doses when the patient changes zone.
    """

    timing: Timing
    amount: Decimal | None
    unit: str | None
    effective_from: datetime
    until: datetime | None = None
    window_before_s: int | None = None
    window_after_s: int | None = None
    remind_after_s: int | None = None
    least_apart_s: int | None = None

    def __post_init__(self) -> None:
        if self.until is not None and self.until <= self.effective_from:
            raise Unprocessable("A regimen ends after it begins.")
        if self.amount is not None and (self.amount <= 0 or not self.unit):
            raise Unprocessable("An amount is above 0 and has a unit.")
        seconds = (self.window_before_s, self.window_after_s, self.remind_after_s)
        if any(each is not None and not 0 <= each <= A_YEAR_S for each in seconds):
            raise Unprocessable("Windows and delays are between 0 s and a year.")
        if self.least_apart_s is not None:
            self._check_apart(self.least_apart_s)

    def _check_apart(self, least_s: int) -> None:
        if isinstance(self.timing, AsNeeded | AfterTaken):
            raise Unprocessable(
                "Doses without times of their own already say how far apart they are."
            )
        usual_s = shortest_interval(self.timing).total_seconds()
        if not 0 < least_s <= usual_s:
            raise Unprocessable(
                "The least time between doses is above 0 and at most the time between "
                f"two of them, {usual_s / 60:.0f} minutes."
            )


def prescribe(
    session: Session,
    patient_id: UUID,
    prescription: Prescription,
    *,
    drug: str,
    gtin: str | None = None,
    criticality: str = "standard",
    by: UUID,
    now: datetime,
) -> tuple[Regimen, Made]:
    """Write a new regimen with its first version; return it and the doses it made.

    `by` is a clinician. The caller audits, plans reminders for what was made and
    refreshes the state. Raises NotFound, NotAClinician, Unprocessable.
    """
    if criticality not in CRITICALITIES:
        raise Unprocessable(f"criticality is one of {', '.join(CRITICALITIES)}.")
    clinic_id = _clinic_of(session, patient_id)
    _check_clinician(session, by, clinic_id)
    regimen = Regimen(
        patient_id=patient_id,
        clinic_id=clinic_id,
        gtin=gtin,
        drug=drug,
        criticality=criticality,
        recorded_at=now,
    )
    session.add(regimen)
    _write(session, regimen, prescription, version=1, by=by, reason="", now=now)
    return regimen, materialise(session, [patient_id], now=now)


def change(
    session: Session,
    patient_id: UUID,
    regimen_id: UUID,
    prescription: Prescription,
    *,
    by: UUID,
    reason: str,
    replaces: int,
    now: datetime,
) -> tuple[RegimenVersion, Made]:
    """Write the next version of a regimen; return it and what that did to doses.

    `replaces` is the version that the clinician saw: SupersededVersion when it is no
    longer the newest. Doses that are past or decided stay as they were asked. To end
    a regimen, give the same prescription an `until`.
    """
    _clinic_of(session, patient_id)
    regimen = session.get(Regimen, (patient_id, regimen_id))
    if regimen is None:
        raise NotFound("No such regimen.")
    _check_clinician(session, by, regimen.clinic_id)
    newest = session.exec(
        select(func.max(col(RegimenVersion.version))).where(
            col(RegimenVersion.patient_id) == patient_id,
            col(RegimenVersion.regimen_id) == regimen_id,
        )
    ).one()
    if newest != replaces:
        raise SupersededVersion("The regimen was changed meanwhile.", newest=newest)
    version = _write(
        session,
        regimen,
        prescription,
        version=replaces + 1,
        by=by,
        reason=reason,
        now=now,
    )
    return version, materialise(session, [patient_id], now=now)


def _clinic_of(session: Session, patient_id: UUID) -> UUID:
    if not hold(session, [patient_id]):
        raise NotFound("No such patient.")
    return session.get_one(Patient, patient_id).clinic_id


def _check_clinician(session: Session, by: UUID, clinic_id: UUID) -> None:
    clinician = session.get(Clinician, by)
    if (
        clinician is None
        or clinician.role != "clinician"
        or clinician.clinic_id != clinic_id
    ):
        raise NotAClinician("Only a clinician of the patient's clinic prescribes.")


def _write(
    session: Session,
    regimen: Regimen,
    prescription: Prescription,
    *,
    version: int,
    by: UUID,
    reason: str,
    now: datetime,
) -> RegimenVersion:
    row = RegimenVersion(
        patient_id=regimen.patient_id,
        regimen_id=regimen.regimen_id,
        version=version,
        timing=to_json(prescription.timing),
        amount=prescription.amount,
        unit=prescription.unit,
        effective_from=prescription.effective_from,
        until=prescription.until,
        window_before_s=_window(prescription.window_before_s, prescription),
        window_after_s=_window(prescription.window_after_s, prescription),
        remind_after_s=prescription.remind_after_s,
        least_apart_s=prescription.least_apart_s,
        prescribed_by=by,
        reason=reason,
        recorded_at=now,
    )
    session.add(row)
    session.flush()
    return row


def _window(seconds: int | None, prescription: Prescription) -> int | None:
    """Return the seconds asked for; a dose that follows another has a default here.

    It stands in the row, as matching looks there for how far a window may reach.
    """
    if seconds is None and isinstance(prescription.timing, AfterTaken):
        return int(window_of(prescription.timing).total_seconds())
    return seconds
