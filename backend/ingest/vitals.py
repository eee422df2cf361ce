"""All that happens when vitals arrive, in one transaction, top to bottom.

The caller opens the transaction and answers after its commit. A request costs a dozen
set-wise statements, whatever it holds; only new samples have consequences.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from uuid import UUID

from sqlmodel import Session

from backend.audit.record import record as audit
from backend.database import run
from backend.ingest.vital_items import Batch, Origin
from backend.ingest.vital_judge import Window
from backend.ingest.vital_owners import find_owners
from backend.ingest.vital_sort import Sorted, gather, sort_segments
from backend.live import touch
from backend.people.readers import Sender
from backend.state.vitals import Latest, instant_text, note_vitals
from backend.vitals.quarantine import keep
from backend.vitals.rows import uuid_array
from backend.vitals.segment import Outcome, Segment
from backend.vitals.store import moment, store

SCREEN = """
INSERT INTO screen_due (patient_id, since) SELECT p, %s
FROM unnest(%s::uuid[]) AS u(p) ORDER BY p ON CONFLICT DO NOTHING
"""


def accept_vitals(
    session: Session, batch: Batch, *, by: Sender, now: datetime
) -> dict[str, object]:
    """Store a request of segments and samples with all that follows.

    Returns the answer as JSON values: a verdict a segment, and counts for the samples.
    """
    owners = find_owners(session, _origins(batch), by)
    window = Window.at(now)
    runs = sort_segments(batch.segments, owners, window)
    plain = gather(batch.samples, owners, window)
    segments = [*runs.segments.values(), *plain.segments]
    outcomes = store(session, segments, recorded_at=now)
    patients = follow(session, by.clinic_id, segments, outcomes, now=now)
    keep(
        session,
        runs.held + plain.held,
        clinic_id=by.clinic_id,
        bridge_id=by.bridge_id,
        recorded_at=now,
    )
    verdicts = _verdicts(batch, runs, outcomes)
    samples = plain.answer(outcomes[len(runs.segments) :])
    if patients or runs.held or plain.held:
        counts = Counter(str(one["verdict"]) for one in verdicts)
        audit(
            session,
            by.actor(),
            "vitals_received",
            patients=patients,
            detail={
                "segments": dict(counts),
                "samples": sum(outcome.stored for outcome in outcomes),
            },
        )
    return {"segments": verdicts, "samples": samples}


def follow(
    session: Session,
    clinic_id: UUID,
    segments: Sequence[Segment],
    outcomes: Sequence[Outcome],
    *,
    now: datetime,
) -> set[UUID]:
    """Do all that follows from stored samples; return the patients with new ones.

    The patients' state and open pages show the latest value, and the detectors will
    look at them.
    """
    fresh = _fresh(segments, outcomes)
    note_vitals(session, clinic_id, fresh, now=now)
    patients = {patient_id for patient_id, _ in fresh}
    if patients:
        touch(session, {clinic_id: patients})
    _screen(session, patients, now)
    return patients


def _origins(batch: Batch) -> Iterator[Origin]:
    yield from batch.segments.good.values()
    yield from batch.samples.good.values()
    for broken in chain(batch.segments.broken.values(), batch.samples.broken.values()):
        origin = broken.origin()
        if origin is not None:
            yield origin


def _fresh(
    segments: Sequence[Segment], outcomes: Sequence[Outcome]
) -> dict[tuple[UUID, str], Latest]:
    """Return the latest new sample of each patient and code."""
    latest: dict[tuple[int, str], tuple[int, float, Segment]] = {}
    for segment, outcome in zip(segments, outcomes, strict=True):
        if outcome.latest is not None:
            key = segment.patient_id.int, segment.code
            at, value = outcome.latest
            known = latest.get(key)
            if known is None or known[0] < at:
                latest[key] = at, value, segment
    return {
        (segment.patient_id, segment.code): (
            instant_text(moment(at)),
            value,
            segment.unit,
        )
        for at, value, segment in latest.values()
    }


def _screen(session: Session, patients: set[UUID], now: datetime) -> None:
    """Let the detectors look at these patients."""
    if patients:
        run(session, SCREEN, (now, uuid_array(patients)))


def _verdicts(
    batch: Batch, runs: Sorted, outcomes: Sequence[Outcome]
) -> list[dict[str, object]]:
    """Return one verdict a segment, in the order in which they were sent."""
    stored = dict(zip(runs.segments, outcomes, strict=False))
    return [
        _refused(runs, place)
        if place in runs.refused
        else _stored(stored[place], len(batch.segments.good[place]["values"]))
        for place in range(len(batch.segments))
    ]


def _stored(outcome: Outcome, sent: int) -> dict[str, object]:
    return {
        "verdict": "new" if outcome.stored else "known",
        "reason": None,
        "detail": None,
        "stored": outcome.stored,
        "known": sent - outcome.stored,
    }


def _refused(runs: Sorted, place: int) -> dict[str, object]:
    refusal = runs.refused[place]
    return {
        "verdict": refusal.verdict,
        "reason": refusal.reason,
        "detail": refusal.detail,
        "stored": 0,
        "known": 0,
    }
