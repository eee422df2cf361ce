"""The patients of a crash trial, and what must be stored of what their boxes hold."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from backend.clock import DomainClock
from backend.database import transaction
from backend.database.partitions import ensure_partitions
from backend.database.sets import fetch
from backend.ingest.accept import accept_doses
from backend.ingest.accept_events import accept_events
from backend.ingest.elapse import elapse
from backend.ingest.extend import schedule
from backend.ingest.items import DoseItem, EventItem, read
from backend.people.readers import Sender
from backend.people.tables import Clinic
from backend.regimens.schedule import expand_past
from backend.supply.tables import Product
from backend.supply.use import dispense
from tests import builders

DAY = timedelta(days=1)
MAKER, MODEL = "Acme", "Box"
TIMES: dict[str, object] = {"kind": "clock_times", "times": ["08:00", "20:00"]}
AT_A_TIME = 1000


@dataclass(frozen=True)
class Bearer:
    """A patient, their box, and when it was opened, in order."""

    patient_id: UUID
    device_id: UUID
    serial: str
    opened: tuple[datetime, ...]


def openings(days: int, now: datetime, luck: Random) -> tuple[datetime, ...]:
    """When a box was opened: most doses, some late, some twice, until an hour ago."""
    first = (now - days * DAY).replace(minute=0, second=0, microsecond=0)
    at: list[datetime] = []
    for day in range(days):
        for hour in (8, 20):
            if luck.random() < 0.9:
                moved = luck.uniform(-30, 120)
                due = (first + day * DAY).replace(hour=hour)
                at.append(due + timedelta(minutes=moved))
    return tuple(sorted(one for one in at if one < now - timedelta(hours=1)))


def a_bearer(
    session: Session,
    clinic: Clinic,
    product: Product,
    serial: str,
    opened: tuple[datetime, ...],
    *,
    days: int,
    now: datetime,
) -> Bearer:
    """Write a patient who has had a box for so many days, of which nothing is known."""
    began = now - (days + 2) * DAY
    patient = builders.a_patient(session, clinic, zone="UTC", since=began)
    regimen = builders.a_regimen(
        session, patient, timing=TIMES, product=product, effective_from=began
    )
    device = builders.a_device(session, clinic, maker=MAKER, model=MODEL, serial=serial)
    builders.an_assignment(session, device, patient, regimen=regimen, since=began)
    own = patient.patient_id
    dispense(
        session, own, product.gtin, Decimal(5000), cause="start", at=began, now=now
    )
    first, last = began.date(), (now - DAY).date()
    expand_past(session, own, regimen.regimen_id, first=first, last=last)
    schedule(session, [own], now=now)
    return Bearer(own, device.device_id, serial, opened)


def plan_of(
    bearers: list[Bearer], clock: DomainClock, more: dict[str, datetime] | None = None
) -> dict[str, Any]:
    """Return what the virtual boxes play; `more` is one later opening of some."""
    return {
        "clock": {
            "anchor_real": clock.anchor_real.isoformat(),
            "anchor_domain": clock.anchor_domain.isoformat(),
            "speed": clock.speed,
        },
        "devices": [
            {
                "kind": "box",
                "serial": one.serial,
                "maker": MAKER,
                "model": MODEL,
                "clock_offset_s": 0,
                "out_of_range": [],
                "events": [
                    {
                        "at": at.isoformat(),
                        "what": "opened",
                        "amount": None,
                        "unit": None,
                        "compartment": 0,
                    }
                    for at in (*one.opened, *_later(one, more))
                ],
                "heart_rate": None,
            }
            for one in bearers
        ],
    }


def _later(one: Bearer, more: dict[str, datetime] | None) -> tuple[datetime, ...]:
    at = (more or {}).get(one.serial)
    return () if at is None else (at,)


def partitions(now: datetime, days: int) -> None:
    with transaction() as session:
        ensure_partitions(session, now - (days + 3) * DAY, now + 30 * DAY)


def stored() -> int:
    """Return how many records are stored, -1 while nobody can say."""
    try:
        return int(_one("SELECT count(*) AS n FROM device_record")["n"])
    except SQLAlchemyError:
        return -1


def _one(statement: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401
    with transaction() as session:
        return dict(fetch(session, statement, **given)[0])


def assert_stored_once(bearer: Bearer) -> None:
    """Every opening of the plan is one record and one dose event, and nothing else."""
    with transaction() as session:
        rows = fetch(
            session,
            """SELECT r.epoch, r.sequence, r.status, e.occurred_at
            FROM device_record r LEFT JOIN dose_event e ON e.device_id = r.device_id
                AND e.epoch = r.epoch AND e.sequence = r.sequence
            WHERE r.device_id = :id ORDER BY r.sequence""",
            id=bearer.device_id,
        )
        events = fetch(
            session,
            "SELECT count(*) AS n FROM dose_event WHERE patient_id = :id",
            id=bearer.patient_id,
        )[0]["n"]
    assert [row["sequence"] for row in rows] == list(range(1, len(bearer.opened) + 1))
    assert {(row["epoch"], row["status"]) for row in rows} == {(0, "used")}
    assert events == len(bearer.opened)
    apart = [
        abs(row["occurred_at"] - at)
        for row, at in zip(rows, bearer.opened, strict=True)
    ]
    assert max(apart) < timedelta(seconds=2)


def assert_nothing_odd() -> None:
    odd = _one(
        """SELECT (SELECT count(*) FROM device_conflict) AS conflicts,
        (SELECT count(*) FROM device_event
         WHERE kind NOT IN ('battery', 'heard')) AS events,
        (SELECT count(*) FROM outbox_message m WHERE m.body IS NOT NULL
         AND m.due_at < (SELECT min(received_at) FROM device_record)) AS rang"""
    )
    assert odd == {"conflicts": 0, "events": 0, "rang": 0}


def assert_as_in_one_go(bearer: Bearer, twin: Bearer, by: Sender) -> None:
    """Labels and stock are those of a twin whose records came all at once."""
    heard = _one(
        "SELECT epoch, sequence, heard_until FROM device_contact WHERE device_id = :id",
        id=bearer.device_id,
    )
    now: datetime = heard["heard_until"]
    with transaction() as session:
        items = fetch(
            session,
            "SELECT item FROM device_record WHERE device_id = :id",
            id=bearer.device_id,
        )
        doses = [{**row["item"], "device_id": str(twin.device_id)} for row in items]
        for at in range(0, len(doses), AT_A_TIME):
            part = read(doses[at : at + AT_A_TIME], DoseItem)
            accept_doses(session, part, by=by, now=now, real=now)
        told = {
            "device_id": str(twin.device_id),
            "kind": "heard",
            "heard_until": {
                "epoch": heard["epoch"],
                "sequence": heard["sequence"],
                "at": now.isoformat(),
            },
        }
        accept_events(session, read([told], EventItem), by=by, now=now, real=now)
    while elapse(now):
        pass
    assert labels(bearer, now) == labels(twin, now)
    assert on_hand(bearer) == on_hand(twin) == 5000 - taken(bearer)


def labels(bearer: Bearer, now: datetime) -> dict[str, str]:
    """Of the doses whose time was over long before `now`."""
    with transaction() as session:
        rows = fetch(
            session,
            """SELECT occurrence, label FROM scheduled_dose
            WHERE patient_id = :id AND window_until < :over""",
            id=bearer.patient_id,
            over=now - timedelta(hours=1),
        )
    return {row["occurrence"]: row["label"] for row in rows}


def taken(bearer: Bearer) -> int:
    counted = "SELECT count(*) AS n FROM scheduled_dose WHERE patient_id = :id"
    return _one(f"{counted} AND dose_event_id IS NOT NULL", id=bearer.patient_id)["n"]


def on_hand(bearer: Bearer) -> int:
    of = bearer.patient_id
    return int(
        _one("SELECT on_hand FROM stock WHERE patient_id = :id", id=of)["on_hand"]
    )


def heard(device_ids: list[UUID]) -> dict[UUID, int]:
    """Return up to which record each of these devices was heard."""
    with transaction() as session:
        rows = fetch(
            session,
            "SELECT device_id, sequence FROM device_contact "
            "WHERE device_id = ANY(:ids) AND heard_until IS NOT NULL",
            ids=device_ids,
        )
    return {row["device_id"]: row["sequence"] for row in rows}
