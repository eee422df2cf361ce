"""Implementation a monitor-day of a study, read back from what is stored.

The counts are CleanADH's: recorded openings, those that people added or took off, what
the regimen in force asks for, and whether the monitor was in use. A dose-day is the one
of the time as the study wrote it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import chain, repeat
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlmodel import Session, col, select

from analytics.adherence.dose_days import (
    Day,
    DayPeriod,
    RegimenPeriod,
    Rule,
    implementation_by_day,
)
from backend.audit.record import SYSTEM, record
from backend.database.sets import fetch
from backend.errors import NotFound
from backend.people.zones import zone_at, zone_history
from backend.regimens.dose_plan import rules
from backend.regimens.expand import DOSE_DAY_STARTS, occurrences
from backend.regimens.tables import RegimenVersion
from backend.regimens.timing_json import from_json
from backend.regimens.zones import DAY, zone_named

MONITORS_AT_ONCE = 100
NOON = time(12)


class UnknownStudy(NotFound):
    """No study of this name was imported."""


@dataclass(frozen=True, slots=True)
class MonitorDay:
    """One dose-day of a patient's monitor."""

    patient: str
    monitor: str
    day: Day

    def cells(self) -> Iterator[str]:
        """Yield the cells of its row; NA is what is not known or does not count."""
        day = self.day
        done = None if day.implemented is None else float(day.implemented)
        yield from (self.patient, self.monitor, day.day.isoformat())
        for cell in (day.recorded, day.added, day.corrected, day.expected):
            yield "NA" if cell is None else str(cell)
        yield str(day.non_monitored)
        yield "NA" if done is None else str(done)


@dataclass(frozen=True, slots=True)
class _Monitor:
    """A span in which a monitor was a patient's."""

    patient: str
    monitor: str
    patient_id: UUID
    device_id: UUID
    regimen_id: UUID | None
    first: date
    last: date
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored of some monitors, by (patient, device) or by regimen."""

    openings: Mapping[tuple[UUID, UUID], Sequence[RowMapping]]
    added: Mapping[tuple[UUID, UUID], Sequence[RowMapping]]
    unseen: Mapping[tuple[UUID, UUID], Sequence[RowMapping]]
    versions: Mapping[tuple[UUID, UUID | None], Sequence[RegimenVersion]]


def implementation_report(
    session: Session,
    study: str,
    *,
    first: date | None = None,
    last: date | None = None,
    rule: Rule = Rule.DOSELOOP,
    now: datetime,
) -> Iterator[MonitorDay]:
    """Return every dose-day on which a monitor was in use, by codes and day.

    Days from `first` to `last`, both included; up to today when left out. Streams: it
    holds a hundred monitors. Writes an audit row. Raises UnknownStudy, at once.
    """
    system = f"study:{study}"
    spans = _monitors(session, system, first or date.min, last or date.max, now)
    record(
        session,
        SYSTEM,
        "implementation_reported",
        patients={span.patient_id for span in spans},
        clinic_id=_clinic(session, system),
    )
    return _read(session, spans, rule)


def _read(
    session: Session, spans: Sequence[_Monitor], rule: Rule
) -> Iterator[MonitorDay]:
    for at in range(0, len(spans), MONITORS_AT_ONCE):
        some = spans[at : at + MONITORS_AT_ONCE]
        stored = _stored(session, some)
        for span in some:
            for day in _days(span, stored, rule):
                yield MonitorDay(span.patient, span.monitor, day)


def _clinic(session: Session, system: str) -> UUID:
    found = fetch(
        session,
        "SELECT clinic_id FROM device WHERE maker = :system LIMIT 1",
        system=system,
    )
    if not found:
        raise UnknownStudy(UnknownStudy.__doc__ or "")
    return found[0]["clinic_id"]


def _monitors(
    session: Session, system: str, first: date, last: date, now: datetime
) -> list[_Monitor]:
    rows = fetch(session, MONITORS, system=system, now=now)
    zones = zone_history(session, {row["patient_id"] for row in rows})
    found: list[_Monitor] = []
    for row in rows:
        zone = zone_named(zone_at(zones[row["patient_id"]], row["since"]))
        days = [_dose_day(row[name], zone) for name in ("since", "until")]
        span = _Monitor(
            row["code"],
            row["serial"],
            row["patient_id"],
            row["device_id"],
            row["regimen_id"],
            max(days[0], first),
            min(days[1] - DAY, last),
            zone,
        )
        if span.first <= span.last:
            found.append(span)
    return found


def _stored(session: Session, spans: Sequence[_Monitor]) -> _Stored:
    whose: list[dict[str, object]] = [
        {"patient_id": patient_id, "device_id": device_id}
        for patient_id, device_id in {(s.patient_id, s.device_id) for s in spans}
    ]
    versions: defaultdict[tuple[UUID, UUID | None], list[RegimenVersion]] = defaultdict(
        list
    )
    for version in session.exec(
        select(RegimenVersion).where(
            col(RegimenVersion.patient_id).in_({span.patient_id for span in spans})
        )
    ):
        versions[version.patient_id, version.regimen_id].append(version)
    return _Stored(
        _grouped(fetch(session, OPENINGS, whose, shift=_microseconds())),
        _grouped(fetch(session, ADDED, whose)),
        _grouped(fetch(session, UNSEEN, whose)),
        versions,
    )


def _days(span: _Monitor, stored: _Stored, rule: Rule) -> list[Day]:
    key = span.patient_id, span.device_id
    return implementation_by_day(
        chain.from_iterable(
            repeat(datetime.combine(row["day"], NOON), row["openings"])
            for row in stored.openings.get(key, ())
        ),
        _periods(span, stored.versions.get((span.patient_id, span.regimen_id), ())),
        first_day=span.first,
        last_day=span.last,
        added=[(row["dose_day"], row["count"]) for row in stored.added.get(key, ())],
        non_monitored=[
            DayPeriod(row["first_day"], row["last_day"])
            for row in stored.unseen.get(key, ())
        ],
        rule=rule,
    )


def _periods(
    span: _Monitor, versions: Iterable[RegimenVersion]
) -> Iterator[RegimenPeriod]:
    """Yield what the versions in force ask for, a period a day."""
    for one in rules(versions):
        first = max(span.first, _dose_day(one.since, span.zone))
        last = span.last
        if one.until is not None:
            last = min(last, _dose_day(one.until, span.zone) - DAY)
        if first > last:
            continue
        due = occurrences(
            from_json(one.version.timing), zone=span.zone, first=first, last=last + DAY
        )
        asked = Counter(dose.dose_day for dose in due)
        for number in range((last - first).days + 1):
            day = first + number * DAY
            yield RegimenPeriod(day, day, asked[day])


def _dose_day(at: datetime, zone: ZoneInfo) -> date:
    local = at.astimezone(zone)
    return local.date() if local.time() >= DOSE_DAY_STARTS else local.date() - DAY


def _microseconds() -> int:
    return DOSE_DAY_STARTS.hour * 3600 * 1_000_000


def _grouped(
    rows: Iterable[RowMapping],
) -> Mapping[tuple[UUID, UUID], Sequence[RowMapping]]:
    grouped: defaultdict[tuple[UUID, UUID], list[RowMapping]] = defaultdict(list)
    for row in rows:
        grouped[row["patient_id"], row["device_id"]].append(row)
    return grouped


MONITORS = """
SELECT * FROM (
    SELECT DISTINCT ON (a.assignment_id) i.value AS code, d.serial, a.patient_id,
        a.device_id, a.regimen_id, a.since, LEAST(COALESCE(a.until, :now),
            :now + interval '1 day') AS until
    FROM device d
    JOIN assignment a USING (device_id)
    JOIN patient_identifier i ON i.patient_id = a.patient_id AND i.system = :system
    WHERE d.maker = :system
    ORDER BY a.assignment_id, i.since) spans
ORDER BY code COLLATE "C", serial COLLATE "C", since
"""
# The sequence of an imported opening is its local time as written, in microseconds.
OPENINGS = """
SELECT e.patient_id, e.device_id, count(*) AS openings,
    date '1970-01-01' + div(e.sequence - :shift, 86400000000)::int AS day
FROM rows(patient_id uuid, device_id uuid)
JOIN dose_event e USING (patient_id, device_id)
WHERE e.voided_at IS NULL AND e.evidence = 'container_opened'
GROUP BY 1, 2, 4
"""
ADDED = """
SELECT c.patient_id, c.device_id, c.dose_day, c.count
FROM rows(patient_id uuid, device_id uuid)
JOIN dose_correction c USING (patient_id, device_id)
WHERE c.voided_at IS NULL
"""
UNSEEN = """
SELECT n.patient_id, r.device_id, n.first_day, n.last_day
FROM rows(patient_id uuid, device_id uuid)
JOIN non_monitored_span n USING (patient_id)
WHERE n.voided_at IS NULL AND (n.device_id IS NULL OR n.device_id = r.device_id)
"""
