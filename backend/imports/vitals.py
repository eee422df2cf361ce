"""Import of wearable files: people by their id in the file, samples as segments."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlmodel import Session, col, select

from backend.audit.record import SYSTEM, Actor, record
from backend.database import transaction
from backend.errors import Unprocessable
from backend.imports.refusals import Refusals
from backend.imports.table import read_rows
from backend.imports.vital_mapping import Layout
from backend.imports.vital_rows import Chunk, chunks
from backend.ingest.vitals import follow
from backend.people.hold import hold
from backend.people.identifiers import Identifier
from backend.people.register import Newcomer, find_clinic, register_patient
from backend.people.tables import Clinic, IdentifierLookup
from backend.state.refresh import refresh
from backend.vitals.segment import Segment, spaced
from backend.vitals.sources import DEVICE, source_ids
from backend.vitals.store import store

LONGEST_SOURCE = 64
AT_ONCE = 5000  # people looked up in one statement


@dataclass(slots=True)
class Imported:
    """What an import did: samples that were new and known, people it wrote down."""

    new: int = 0
    known: int = 0
    people: int = 0
    erased: int = 0


def import_vitals(
    path: Path,
    layout: Layout,
    *,
    clinic: Clinic,
    source: str,
    now: datetime,
    refusals: Refusals,
    strict: bool = False,
    progress: Callable[[int], None] = lambda _octets: None,
) -> Imported:
    """Import a file, in bounded memory whatever its size; safe to repeat.

    Rows that cannot be used are told to `refusals`, the others are stored chunk by
    chunk, each in a transaction of its own. `strict` reads the whole file first and
    raises NothingImported when a row cannot be used. A sample is known by person,
    source, vital and instant, so neither the file's name nor the order of its rows
    matters. Raises UnreadableFile.
    """
    if not source or len(source) > LONGEST_SOURCE or source.startswith(DEVICE):
        raise Unprocessable("A source has a name of 1 to 64 characters.")
    if strict:
        trial = Refusals(refusals.say)
        for _ in _chunks(path, layout, now, trial, progress):
            pass
        trial.stop_if_strict(strict=True)
    done = Imported()
    for chunk in _chunks(path, layout, now, refusals, progress):
        with transaction() as session:
            _import_chunk(session, chunk, layout, clinic, source, now, done)
    return done


def the_clinic(named: str | None) -> Clinic:
    """Return the clinic of that name or id, or the only one; raises Refused."""
    with transaction() as session:
        if named is not None:
            return find_clinic(session, named)
        clinics = session.exec(select(Clinic).limit(2)).all()
    if len(clinics) != 1:
        raise Unprocessable(
            "Say which clinic: --clinic NAME." if clinics else "There is no clinic yet."
        )
    return clinics[0]


def _chunks(
    path: Path,
    layout: Layout,
    now: datetime,
    refusals: Refusals,
    progress: Callable[[int], None],
) -> Iterator[Chunk]:
    columns = [layout.person, layout.at, *(column.column for column in layout.vital)]
    rows = read_rows(path, columns, refusals=refusals, progress=progress)
    return chunks(rows, layout, now=now, name=path.name, refusals=refusals)


def _import_chunk(
    session: Session,
    chunk: Chunk,
    layout: Layout,
    clinic: Clinic,
    source: str,
    now: datetime,
    done: Imported,
) -> None:
    patients, newcomers = _patients(session, chunk.persons(), clinic, source, now)
    held = hold(session, patients.values())
    source_id = source_ids(session, clinic.clinic_id, [source])[source]
    segments = [
        segment
        for segment in _segments(chunk, layout, patients, source_id)
        if segment.patient_id in held
    ]
    outcomes = store(session, segments, recorded_at=now)
    follow(session, clinic.clinic_id, segments, outcomes, now=now)
    refresh(session, newcomers, now=now)
    stored = sum(outcome.stored for outcome in outcomes)
    sent = sum(len(segment.values) for segment in segments)
    done.new += stored
    done.known += sent - stored + chunk.repeated
    done.erased += chunk.values - sent
    done.people += len(newcomers)
    if stored:
        record(
            session,
            Actor(SYSTEM.kind, None, clinic.clinic_id),
            "vitals_imported",
            patients=held,
            detail={"samples": stored, "source_id": source_id},
        )


def _patients(
    session: Session, persons: set[str], clinic: Clinic, source: str, now: datetime
) -> tuple[dict[str, UUID], list[UUID]]:
    """Return whom each id of the file names, and who was written down for it now."""
    found = dict(_known(session, sorted(persons), clinic.clinic_id, source))
    newcomers: list[UUID] = []
    for person in sorted(persons - found.keys()):
        named = Newcomer(zone=clinic.zone, identifiers=(Identifier(source, person),))
        patient = register_patient(
            session, clinic.clinic_id, named, actor=SYSTEM, now=now
        )
        found[person] = patient.patient_id
        newcomers.append(patient.patient_id)
    return found, newcomers


def _known(
    session: Session, persons: list[str], clinic_id: UUID, source: str
) -> Iterable[tuple[str, UUID]]:
    for first in range(0, len(persons), AT_ONCE):
        yield from session.exec(
            select(IdentifierLookup.value, IdentifierLookup.patient_id).where(
                col(IdentifierLookup.clinic_id) == clinic_id,
                col(IdentifierLookup.system) == source,
                col(IdentifierLookup.value).in_(persons[first : first + AT_ONCE]),
            )
        )


def _segments(
    chunk: Chunk, layout: Layout, patients: dict[str, UUID], source_id: int
) -> Iterator[Segment]:
    for (person, number), samples in chunk.series.items():
        vital = layout.vital[number].vital
        times = sorted(samples)
        step, offsets = spaced(times)
        yield Segment(
            patients[person],
            source_id,
            vital.code,
            vital.unit,
            times[0],
            [samples[at][0] for at in times],
            step,
            offsets,
        )
