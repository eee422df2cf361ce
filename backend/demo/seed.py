"""Write the demo's clinic, people, devices and regimens, and plan their lives."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from sqlmodel import Session

from analytics.simulate import Person, Profile, behaviour, plan
from backend.audit.record import SYSTEM
from backend.clock import DomainClock
from backend.dashboards.demo_accounts import SIGN_INS
from backend.database.partitions import ensure_partitions
from backend.demo.cast import (
    MEDICINES,
    RECORD_NUMBERS,
    Character,
    Medicine,
    began,
    cast,
)
from backend.devices.assign import assign, register
from backend.ingest.extend import schedule
from backend.people.accounts import open_account
from backend.people.identifiers import Identifier
from backend.people.register import (
    Contact,
    Newcomer,
    register_clinic,
    register_clinician,
    register_organization,
    register_patient,
)
from backend.regimens.expand import occurrences
from backend.regimens.prescribe import Prescription, prescribe
from backend.regimens.schedule import expand_past
from backend.supply.tables import Product
from backend.supply.use import dispense

DAY = timedelta(days=1)
FUTURE = timedelta(days=120)  # how far virtual lives are planned
REFILL_AT_DAYS = 5  # so late was the pharmacy told before there was Doseloop
MAKER = "Doseloop Labs"


def id_of(name: str) -> UUID:
    """Return the same id for the same name in every demo."""
    return uuid5(NAMESPACE_URL, f"urn:doseloop:demo:{name}")


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the processes of the demo need to know."""

    clinic_id: UUID
    patients: tuple[UUID, ...]


def seed(
    session: Session, characters: Sequence[Character], *, password: str, now: datetime
) -> Seeded:
    """Write everything but doses and vitals, which come by the true way.

    `password` is a hash. Past doses are scheduled, so that what the devices remember
    finds its place; stock is filled as a pharmacy would have.
    """
    start = began(now)
    ensure_partitions(session, start - DAY, now + FUTURE)
    clinic = register_clinic(
        session,
        "Seefeld Clinic",
        "Europe/Zurich",
        now=start,
        clinic_id=id_of("clinic"),
    )
    team = [
        register_clinician(
            session, clinic.clinic_id, name, clinician_id=id_of(name)
        ).clinician_id
        for name in ("Dr. Anna Weiss", "Dr. Paul Amrein", "Nina Odermatt")
    ]
    operator = register_clinician(
        session,
        clinic.clinic_id,
        "Olaf Bader",
        role="operator",
        clinician_id=id_of("Olaf Bader"),
    )
    makers = [
        register_organization(
            session, name, gln, organization_id=id_of(name)
        ).organization_id
        for name, gln in (
            ("Acme Pharma", "7612345000008"),
            ("Borealis Biologics", "7698765000002"),
        )
    ]
    _products(session, makers)
    patients = [
        _patient(session, one, clinic.clinic_id, team, makers, now=now)
        for one in characters
    ]
    subjects = {
        "clinician": team[0],
        "operator": operator.clinician_id,
        "manufacturer": makers[0],
        "patient": patients[0],
    }
    for role, login, _ in SIGN_INS:
        open_account(
            session,
            login,
            password,
            role=role,
            subject_id=subjects[role],
            clinic_id=None if role == "manufacturer" else clinic.clinic_id,
        )
    schedule(session, patients, now=now)
    return Seeded(clinic.clinic_id, tuple(patients))


def lives(
    characters: Sequence[Character],
    clock: DomainClock,
    *,
    start: datetime,
    last: datetime,
) -> dict[str, Any]:
    """Return the plan that the virtual devices play, past and future."""
    people: list[Person] = []
    for one in characters:
        people += [_box(one, start, last), _watch(one)]
    return plan(
        people,
        clock={
            "anchor_real": clock.anchor_real.isoformat(),
            "anchor_domain": clock.anchor_domain.isoformat(),
            "speed": clock.speed,
        },
        first=start,
        last=last,
    )


def _box(one: Character, start: datetime, last: datetime) -> Person:
    medicine = one.medicine
    return Person(
        kind=medicine.device,
        serial=one.device_serial,
        seed=one.seed,
        maker=MAKER,
        model="Box" if medicine.device == "box" else "Pen",
        due=_due(one, start, last),
        amount=medicine.amount,
        unit=medicine.unit,
        compartment=0 if medicine.device == "box" else None,
        profile=_profile(one),
        out_of_range=one.out_of_range,
    )


def _watch(one: Character) -> Person:
    return Person(
        kind="wearable",
        serial=one.wearable_serial,
        seed=one.seed,
        maker=MAKER,
        model="Watch",
        heart_rate=one.heart,
    )


def _profile(one: Character) -> Profile:
    return Profile(z=one.z, discontinues=False, zone=ZoneInfo(one.zone))


def _due(one: Character, start: datetime, last: datetime) -> tuple[datetime, ...]:
    """When doses are due; a dose without a time is taken about noon or evening."""
    found = occurrences(
        one.medicine.timing(start), zone=ZoneInfo(one.zone), first=start, last=last
    )
    places: dict[object, int] = {}
    due: list[datetime] = []
    for occurrence in found:
        at = occurrence.due_at
        if at is None:
            place = places.get(occurrence.dose_day, 0)
            places[occurrence.dose_day] = place + 1
            midday = datetime.combine(
                occurrence.dose_day, datetime.min.time(), start.tzinfo
            )
            at = midday + timedelta(hours=11 + 8 * place)
        due.append(at)
    return tuple(sorted(due))


def _products(session: Session, makers: Sequence[UUID]) -> None:
    session.add_all(
        Product(
            gtin=one.gtin,
            name=one.name,
            drug=one.drug,
            strength=one.strength,
            unit=one.unit,
            pack_size=one.pack_size,
            manufacturer_id=makers[one.maker],
            controlled=one.controlled,
        )
        for one in MEDICINES
    )
    session.flush()


def _patient(
    session: Session,
    one: Character,
    clinic_id: UUID,
    team: Sequence[UUID],
    makers: Sequence[UUID],
    *,
    now: datetime,
) -> UUID:
    start = began(now)
    medicine = one.medicine
    consents = [("care", clinic_id), ("reminders", clinic_id)]
    if one.consents_to_supply:
        consents.append(("supply", makers[medicine.maker]))
    patient_id = register_patient(
        session,
        clinic_id,
        Newcomer(
            zone=one.zone,
            language=one.language,
            given_name=one.given_name,
            family_name=one.family_name,
            birth_date=one.born_on,
            identifiers=(Identifier(RECORD_NUMBERS, one.record_number),),
            contacts=(Contact("sms", one.phone),),
            consents=tuple(consents),
            team=(team[0], team[1 + one.number % 2]),
        ),
        actor=SYSTEM,
        now=start,
        patient_id=id_of(f"patient {one.number}"),
    ).patient_id
    regimen, _ = prescribe(
        session,
        patient_id,
        Prescription(
            timing=medicine.timing(start),
            amount=medicine.amount,
            unit=medicine.unit,
            effective_from=start,
        ),
        drug=medicine.drug,
        gtin=medicine.gtin,
        criticality=medicine.criticality,
        by=team[0],
        now=start,
    )
    expand_past(
        session,
        patient_id,
        regimen.regimen_id,
        first=start.date(),
        last=now.date() - DAY,
    )
    _devices(session, one, clinic_id, patient_id, regimen.regimen_id, now)
    _fill(session, one, patient_id, now)
    return patient_id


def _devices(
    session: Session,
    one: Character,
    clinic_id: UUID,
    patient_id: UUID,
    regimen_id: UUID,
    now: datetime,
) -> None:
    """Register the devices now, though their owners had them from the beginning."""
    kinds = (
        (one.medicine.device, one.device_serial, regimen_id),
        ("wearable", one.wearable_serial, None),
    )
    for kind, serial, serves in kinds:
        device = register(
            session,
            clinic_id=clinic_id,
            kind=kind,
            maker=MAKER,
            model={"box": "Box", "injector": "Pen", "wearable": "Watch"}[kind],
            serial=serial,
            now=now,
        )
        assign(
            session,
            device.device_id,
            patient_id,
            regimen_id=serves,
            since=began(now),
        )


def _fill(session: Session, one: Character, patient_id: UUID, now: datetime) -> None:
    for n, (at, amount) in enumerate(dispensed(one, now)):
        dispense(
            session,
            patient_id,
            one.medicine.gtin,
            amount,
            cause=f"pharmacy/{n}",
            at=at,
            now=now,
        )


def dispensed(one: Character, now: datetime) -> list[tuple[datetime, Decimal]]:
    """Return when how much was dispensed by a pharmacy that was told in time.

    That is packs when little is left; at first less, where the story wants a certain
    number of doses left `now`.
    """
    medicine, start = one.medicine, began(now)
    due = _due(one, start, now)
    least = REFILL_AT_DAYS * _a_day(medicine, due, now - start)
    packs = (1 + one.number % 2) * medicine.pack_size
    taken = [
        at for at in behaviour(due, seed=one.seed, profile=_profile(one)) if at <= now
    ]
    on_hand = packs
    if one.doses_left is not None:
        on_hand = (len(taken) + one.doses_left) * medicine.amount % packs
        on_hand += packs if on_hand <= least else 0
    entries = [(start, on_hand)]
    for at in taken:
        on_hand -= medicine.amount
        if on_hand <= least:
            entries.append((at, packs))
            on_hand += packs
    return entries


def _a_day(medicine: Medicine, due: Sequence[datetime], span: timedelta) -> Decimal:
    return medicine.amount * len(due) / max(1, span.days)


def characters(now: datetime) -> list[Character]:
    """Return the forty as of the moment at which the demo first began."""
    return list(cast(now))
