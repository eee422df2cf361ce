"""Write what a study says of a few patients, in one transaction.

Only what is not stored yet, or says something else than what is, is written: importing
the same files again changes no row. Nothing raw is edited; what was changed is declared
void and written anew. Nothing here sends a message or raises an alert.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session, select

from backend.audit.record import SYSTEM
from backend.audit.record import record as audit
from backend.database.sets import execute
from backend.devices.assign import assign, lock
from backend.devices.tables import Device
from backend.imports.study_corrections import write_added, write_unseen
from backend.imports.study_follow import Touched, follow
from backend.imports.study_fresh import is_plain, write_fresh
from backend.imports.study_known import Study
from backend.imports.study_openings import move_openings, write_openings
from backend.imports.study_plan import Pair, Plan
from backend.imports.study_regimen import (
    Rewrite,
    Segment,
    day_starts,
    segments,
    stored_segments,
    to_write,
)
from backend.people.hold import hold
from backend.people.identifiers import Identifier
from backend.people.register import Newcomer, register_patient
from backend.regimens.tables import Regimen, RegimenVersion
from backend.regimens.timing_json import to_json
from backend.regimens.zones import DAY


@dataclass(frozen=True, slots=True)
class Import:
    """One run of an import: of what, into what, and when."""

    study: Study
    clinic_id: UUID
    zone: ZoneInfo
    now: datetime
    real: datetime


@dataclass(slots=True)
class Written:
    """How many rows of each kind were new, and what of the files was set aside."""

    rows: Counter[str] = field(default_factory=Counter[str])
    set_aside: list[str] = field(default_factory=list[str])


def write(
    session: Session, run: Import, plan: Plan, pairs: Sequence[Pair], written: Written
) -> None:
    """Store everything of these patients' monitors, with all that follows from it."""
    lock(session, [pair.device_id for pair in pairs])
    alive = hold(session, {pair.patient_id for pair in pairs})
    pairs = [
        pair
        for pair in pairs
        if pair.patient_id in alive or pair.patient_id in plan.new_patients
    ]
    touched = Touched()
    rows: Counter[str] = Counter()
    rows["patients"] = _patients(session, run, plan, pairs)
    rows["monitors"] = _monitors(session, run, plan, pairs)
    fresh: list[tuple[Pair, Sequence[Segment]]] = []
    known: list[Pair] = []
    for pair in pairs:
        new = pair.patient_id in plan.new_patients
        new = new and pair.device_id in plan.new_devices
        rows["regimens"] += _drug(session, run, pair)
        rewrite = _regimen(session, run, pair, written)
        asked = rewrite.segments if rewrite else ()
        if new and is_plain(asked):
            fresh.append((pair, asked))
        else:
            known.append(pair)
            if rewrite:
                whose = pair.patient_id, pair.regimen_id
                touched.ask(whose, rewrite.first, rewrite.last)
        rows["regimen versions"] += len(asked)
        rows["spans of use"] += _spans(session, run, plan, pair, touched)
    rows["corrections of days"] = write_added(session, run.study, pairs, run.now)
    rows["spans not monitored"] = write_unseen(
        session, run.study, pairs, touched, run.now
    )
    rows["openings"] = write_openings(
        session, known, touched, now=run.now, real=run.real
    ) + write_fresh(session, fresh, run.zone, touched, now=run.now, real=run.real)
    if not any(rows.values()):
        return
    patients = {pair.patient_id for pair in pairs}
    follow(session, touched, patients, run.zone, now=run.now)
    audit(
        session,
        SYSTEM,
        "study_imported",
        patients=patients,
        clinic_id=run.clinic_id,
        detail={
            "study": str(run.study.id),
            **{kind.replace(" ", "_"): count for kind, count in rows.items()},
        },
    )
    written.rows += rows


def _patients(session: Session, run: Import, plan: Plan, pairs: Sequence[Pair]) -> int:
    begins: dict[str, Pair] = {}
    for pair in sorted(pairs, key=lambda pair: pair.spans[0].since):
        if pair.patient_id in plan.new_patients:
            begins.setdefault(pair.monitor[0], pair)
    for code, pair in begins.items():
        register_patient(
            session,
            run.clinic_id,
            Newcomer(
                zone=run.zone.key,
                family_name=code,
                identifiers=(Identifier(run.study.system, code),),
            ),
            actor=SYSTEM,
            now=run.now,
            since=pair.spans[0].since,
            patient_id=pair.patient_id,
        )
    return len(begins)


def _monitors(session: Session, run: Import, plan: Plan, pairs: Sequence[Pair]) -> int:
    new = {
        pair.device_id: pair.monitor[1]
        for pair in pairs
        if pair.device_id in plan.new_devices
        and session.get(Device, pair.device_id) is None
    }
    session.add_all(
        Device(
            device_id=device_id,
            clinic_id=run.clinic_id,
            kind="monitor",
            maker=run.study.system,
            model="electronic monitor",
            serial=code,
            registered_at=run.now,
        )
        for device_id, code in new.items()
    )
    session.flush()
    return len(new)


def _spans(
    session: Session, run: Import, plan: Plan, pair: Pair, touched: Touched
) -> int:
    """Write when the monitor was the patient's, and move openings in and out."""
    new = [span for span in pair.spans if span.assignment_id is None]
    changed = [span for span in pair.spans if span.changed]
    for span in changed:
        execute(
            session,
            "UPDATE assignment SET since = :since, until = :until "
            "WHERE patient_id = :patient AND assignment_id = :id",
            since=span.since,
            until=span.until,
            patient=pair.patient_id,
            id=span.assignment_id,
        )
    for span in new:
        assign(
            session,
            pair.device_id,
            pair.patient_id,
            regimen_id=pair.regimen_id,
            since=span.since,
            until=span.until,
        )
    if changed or (new and pair.device_id not in plan.new_devices):
        move_openings(session, run.study, pair, touched, now=run.now)
    return len(new) + len(changed)


def _regimen(
    session: Session, run: Import, pair: Pair, written: Written
) -> Rewrite | None:
    """Write what the regimen rows change, as versions behind the others; return it."""
    versions = session.exec(
        select(RegimenVersion).where(
            RegimenVersion.patient_id == pair.patient_id,
            RegimenVersion.regimen_id == pair.regimen_id,
        )
    ).all()
    stored = stored_segments(
        (v for v in versions if v.prescribed_by == run.study.id), run.zone
    )
    rewrite = to_write(stored, segments(pair.asked))
    if rewrite and any(v.prescribed_by != run.study.id for v in versions):
        written.set_aside.append(
            f"the regimen of monitor {pair.monitor[1]} of {pair.monitor[0]} was "
            "changed here since it was imported: that stands, the file's does not"
        )
        return None
    if rewrite is not None:
        _versions(session, run, pair, rewrite.segments, len(versions))
    return rewrite


def _drug(session: Session, run: Import, pair: Pair) -> int:
    """Write which drug it is, the monitor's code when nobody says; 1 if that is new."""
    regimen = session.get(Regimen, (pair.patient_id, pair.regimen_id))
    if regimen is None:
        regimen = Regimen(
            patient_id=pair.patient_id,
            regimen_id=pair.regimen_id,
            clinic_id=run.clinic_id,
            drug=pair.drug or pair.monitor[1],
            recorded_at=run.now,
        )
    elif pair.drug in (None, regimen.drug):
        return 0
    else:
        regimen.drug = pair.drug
    session.add(regimen)
    session.flush()
    return 1


def _versions(
    session: Session, run: Import, pair: Pair, wanted: Sequence[Segment], last: int
) -> None:
    session.add_all(
        RegimenVersion(
            patient_id=pair.patient_id,
            regimen_id=pair.regimen_id,
            version=number,
            timing=to_json(segment.timing),
            effective_from=day_starts(segment.first, run.zone),
            until=day_starts(segment.last + DAY, run.zone),
            prescribed_by=run.study.id,
            reason=run.study.system,
            recorded_at=run.now,
        )
        for number, segment in enumerate(wanted, start=last + 1)
    )
    session.flush()
