"""Who is who in a study: what its rows will be written to, before anything is written.

Every objection that can be made to a row of the smaller files is made here.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from backend.imports.refusals import Refusals, quoted
from backend.imports.study_files import Part
from backend.imports.study_known import Known
from backend.imports.study_regimen import day_starts
from backend.imports.study_rows import Added, Aside, Asked, Days, Monitor, Unseen
from backend.regimens.zones import DAY

Told = TypeVar("Told", Added, Asked, Unseen)


@dataclass(slots=True)
class Span:
    """A monitor is a patient's from `since` until `until`; stored under an id or new.

    `changed` when the stored one says something else.
    """

    since: datetime
    until: datetime
    assignment_id: UUID | None = None
    changed: bool = False

    def same(self, other: "Span") -> bool:
        return (self.since, self.until) == (other.since, other.until)

    def overlaps(self, other: "Span") -> bool:
        return self.since < other.until and other.since < self.until

    def holds(self, at: datetime) -> bool:
        return self.since <= at < self.until


@dataclass(slots=True)
class Pair:
    """A patient's monitor: its ids, and everything the files say of it."""

    number: int
    monitor: Monitor
    patient_id: UUID
    device_id: UUID
    regimen_id: UUID
    drug: str | None
    spans: list[Span]
    asked: list[Asked] = field(default_factory=list[Asked])
    unseen: list[Unseen] = field(default_factory=list[Unseen])
    added: list[Added] = field(default_factory=list[Added])
    openings: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The monitors of a study by their codes, and which ids are still to be written."""

    pairs: Mapping[Monitor, Pair]
    new_patients: Collection[UUID]
    new_devices: Collection[UUID]

    def by_patient(self) -> list[list[Pair]]:
        """Return the monitors of each patient, patients in order of their code."""
        grouped: defaultdict[str, list[Pair]] = defaultdict(list)
        for monitor in sorted(self.pairs):
            grouped[monitor[0]].append(self.pairs[monitor])
        return list(grouped.values())


def make_plan(
    aside: Aside,
    known: Known,
    files: Mapping[Part, Path],
    zone: ZoneInfo,
    refusals: Refusals,
) -> Plan:
    """Return what the study's rows belong to; rows of nobody are refused."""
    spans = _spans(aside.spans, known, zone, files[Part.MONITORS].name, refusals)
    patients, devices = dict(known.patients), dict(known.devices)
    pairs: dict[Monitor, Pair] = {}
    for number, (monitor, own) in enumerate(sorted(spans.items())):
        pairs[monitor] = Pair(
            number,
            monitor,
            patients.setdefault(monitor[0], uuid4()),
            devices.setdefault(monitor[1], uuid4()),
            known.regimens.get(monitor) or uuid4(),
            aside.drugs.get(monitor),
            sorted(own, key=lambda span: span.since),
        )
    told = _Telling(files, pairs, refusals)
    told.give(Part.REGIMENS, aside.asked, lambda pair: pair.asked)
    told.give(Part.NON_MONITORED, aside.unseen, lambda pair: pair.unseen)
    told.give(Part.ADDED, aside.added, lambda pair: pair.added)
    told.warn_of_days_outside(zone)
    return Plan(
        pairs,
        set(patients.values()) - set(known.patients.values()),
        set(devices.values()) - set(known.devices.values()),
    )


def _spans(
    rows: Sequence[Days], known: Known, zone: ZoneInfo, file: str, refusals: Refusals
) -> dict[Monitor, list[Span]]:
    """Return the spans of each monitor: those stored, changed or joined by the rows."""
    spans: defaultdict[Monitor, list[Span]] = defaultdict(list)
    by_device: defaultdict[str, list[tuple[Monitor, Span]]] = defaultdict(list)
    for monitor, uses in known.uses.items():
        for use in uses:
            stored = Span(use.since, use.until, use.assignment_id)
            spans[monitor].append(stored)
            by_device[monitor[1]].append((monitor, stored))
    placed: set[int] = set()
    for row in sorted(rows, key=lambda row: (row.first, row.line)):
        said = Span(day_starts(row.first, zone), day_starts(row.last + DAY, zone))
        own = [
            (whose, span)
            for whose, span in by_device[row.monitor[1]]
            if span.overlaps(said)
        ]
        said_before = [s for whose, s in own if whose == row.monitor and s.same(said)]
        if said_before:
            placed.add(id(said_before[0]))
            continue
        objection = _objection(row, own, known, placed)
        if objection:
            refusals.refuse(file, row.line, objection)
        elif own:
            _change(own[0][1], said)
            placed.add(id(own[0][1]))
        else:
            spans[row.monitor].append(said)
            by_device[row.monitor[1]].append((row.monitor, said))
            placed.add(id(said))
    return dict(spans)


def _objection(
    row: Days,
    overlapping: Sequence[tuple[Monitor, Span]],
    known: Known,
    placed: Collection[int],
) -> str | None:
    """Return why a monitor cannot be the patient's on these days."""
    if known.devices.get(row.monitor[1]) in known.erased:
        return "this monitor's data were of a person who has been erased"
    for whose, span in overlapping:
        if whose != row.monitor:
            monitor, owner = quoted(row.monitor[1]), quoted(whose[0])
            return f"monitor {monitor} is in use by {owner} on some of its days"
        if id(span) in placed:
            return "an earlier row has this monitor on some of its days"
    if len(overlapping) > 1:
        return "its days touch several spans that were imported before"
    return None


def _change(stored: Span, said: Span) -> None:
    stored.since, stored.until = said.since, said.until
    stored.changed = True


@dataclass(frozen=True, slots=True)
class _Telling:
    """Hands each row to its monitor."""

    files: Mapping[Part, Path]
    pairs: Mapping[Monitor, Pair]
    refusals: Refusals

    def give(
        self, part: Part, rows: Iterable[Told], to: Callable[[Pair], list[Told]]
    ) -> None:
        for row in rows:
            pair = self.pairs.get(row.monitor)
            if pair is None:
                self.refusals.refuse(
                    self.files[part].name, row.line, unknown_monitor(row.monitor)
                )
            else:
                to(pair).append(row)

    def warn_of_days_outside(self, zone: ZoneInfo) -> None:
        for pair in self.pairs.values():
            for row in pair.added:
                starts = day_starts(row.day, zone)
                if not any(span.holds(starts) for span in pair.spans):
                    self.refusals.warn(
                        self.files[Part.ADDED].name,
                        row.line,
                        f"{row.day} is no day of monitor {quoted(pair.monitor[1])}",
                    )


def unknown_monitor(monitor: Monitor) -> str:
    """Return the words for a monitor that no row of EMInfo gives to that patient."""
    patient, device = map(quoted, monitor)
    return f"{Part.MONITORS} knows no monitor {device} of patient {patient}"
