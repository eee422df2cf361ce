"""The people whom a report is about, as their reader may see them, and their doses."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from analytics.adherence.dose_days import Day
from analytics.adherence.emerge import Emerge, Setting, emerge
from analytics.adherence.people import Life, findings
from backend.audit.record import record
from backend.dashboards.visible import Sight
from backend.dashboards.words import EVIDENCE
from backend.doses.days import Course, DoseDay, Span, Whom, courses
from backend.errors import NotFound, Unprocessable
from backend.people.readers import Reader

MOST = 2000  # people in one report
EARLIEST = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which people, by study and medicine, first due from `first` on, up to `last`.

    Curves reach `days` from the first dose.
    """

    last: date
    first: date | None = None
    study: str | None = None
    drug: str | None = None
    days: int = 365

    @property
    def title(self) -> str:
        """Return what a report of them is called."""
        whom = f"study {self.study}" if self.study else "all patients cared for"
        return f"Adherence to {self.drug or 'all medicines'}, {whom}"

    def whom(self, patients: Sequence[UUID] | None = None) -> Whom:
        return Whom(patients, self.drug, f"study:{self.study}" if self.study else None)


def report(session: Session, reader: Reader, asked: Asked, *, now: datetime) -> Emerge:
    """Return the EMERGE report of these people; writes one audit row with all of them.

    Raises NotFound where the reader sees none of them, Unprocessable where they are too
    many for one report.
    """
    patients, found = _lives(session, reader, asked, now)
    if not found:
        raise NotFound("Nobody whom you care for fits, or none of them had a dose due.")
    told = emerge(
        findings(found, days=asked.days),
        _setting(Sight(session, reader, now), asked, patients),
    )
    record(session, reader.actor(), "emerge_report_seen", patients=patients)
    return told


def _lives(
    session: Session, reader: Reader, asked: Asked, now: datetime
) -> tuple[list[UUID], list[Life]]:
    _not_too_many(Sight(session, reader, now), asked)
    span = Span(EARLIEST, asked.last)
    by_patient: defaultdict[UUID, list[Course]] = defaultdict(list)
    for course in courses(session, reader, asked.whom(), span, now=now):
        if course.days:
            by_patient[course.patient_id].append(course)
    lives = {whose: life_of(some) for whose, some in by_patient.items()}
    entered = {
        whose: life
        for whose, life in lives.items()
        if asked.first is None or life.days[0].day >= asked.first
    }
    return list(entered), list(entered.values())


def life_of(some: Sequence[Course]) -> Life:
    """Return a person's dose-days over all their regimens.

    A day is taken as prescribed when each of its regimens is; so of several regimens no
    extra dose makes up for a missed one of another.
    """
    by_day: defaultdict[date, list[DoseDay]] = defaultdict(list)
    for course in some:
        for each in course.days:
            by_day[each.day.day].append(each)
    days = sorted(by_day)
    return Life(
        [_together(day, [each.day for each in by_day[day]]) for day in days],
        [sum(each.timed for each in by_day[day]) for day in days],
        [sum(each.on_time for each in by_day[day]) for day in days],
    )


def _together(day: date, parts: Sequence[Day]) -> Day:
    if len(parts) == 1:
        return parts[0]
    expected = [part.expected or 0 for part in parts]
    taken = sum(
        min(part.corrected, asked) for part, asked in zip(parts, expected, strict=True)
    )
    unseen = any(part.non_monitored for part in parts)
    done = None if unseen else taken >= sum(expected)
    return Day(day, taken, 0, taken, sum(expected), unseen, done)


def _not_too_many(sight: Sight, asked: Asked) -> None:
    found = sight.row(
        "count(DISTINCT g.patient_id) AS people",
        "regimen g",
        _fits(asked),
        of="g.patient_id",
        given=_given(asked),
    )
    people = found["people"] if found else 0
    if people > MOST:
        raise Unprocessable(
            f"These are {people} people: ask for a study or a medicine with at most "
            f"{MOST}."
        )


def _fits(asked: Asked) -> list[str]:
    where: list[str] = []
    if asked.drug is not None:
        where.append("lower(g.drug) = lower(:drug)")
    if asked.study is not None:
        where.append(
            """EXISTS (SELECT FROM patient_identifier i
            WHERE i.patient_id = g.patient_id AND i.system = :system)"""
        )
    return where


def _given(asked: Asked) -> dict[str, object]:
    given: dict[str, object] = {}
    if asked.drug is not None:
        given["drug"] = asked.drug
    if asked.study is not None:
        given["system"] = f"study:{asked.study}"
    return given


def _setting(sight: Sight, asked: Asked, patients: Sequence[UUID]) -> Setting:
    """Return what the figures do not tell, of these people."""
    given = {"patients": list(patients), "until": asked.last}
    theirs = "= ANY(:patients)"
    records = sight.rows(
        """e.evidence, count(*) AS records,
        count(*) FILTER (WHERE e.voided_at IS NOT NULL) AS changed""",
        "dose_event e",
        (f"e.patient_id {theirs}", "e.occurred_at < CAST(:until AS date) + 2"),
        of="e.patient_id",
        group="1",
        order="1",
        given=given,
    )
    devices = sight.rows(
        "DISTINCT d.maker, d.model",
        "assignment a JOIN device d USING (device_id)",
        (f"a.patient_id {theirs}", "a.since < CAST(:until AS date) + 2"),
        of="a.patient_id",
        order="1, 2",
        given=given,
    )
    medicines = sight.rows(
        "DISTINCT g.drug",
        "regimen g",
        (f"g.patient_id {theirs}", *_fits(asked)),
        of="g.patient_id",
        order="1",
        given=given | _given(asked),
    )
    sent = sight.rows(
        "count(*) AS messages",
        "outbox_message m",
        (
            f"m.patient_id {theirs}",
            "m.state IN ('sent', 'delivered')",
            "m.due_at < CAST(:until AS date) + 2",
        ),
        of="m.patient_id",
        given=given,
    )
    return Setting(
        asked.title,
        tuple(row["drug"] for row in medicines),
        tuple(_named(row["maker"], row["model"]) for row in devices),
        {EVIDENCE[row["evidence"]]: row["records"] for row in records},
        sum(row["changed"] for row in records),
        sum(row["messages"] for row in sent),
    )


def _named(maker: str | None, model: str | None) -> str:
    return " ".join(part for part in (maker, model) if part)
