"""Whose samples a sender may bring: his clinic's devices and, in a cloud, patients."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database import run
from backend.devices.assign import lock
from backend.ingest.vital_items import Origin
from backend.ingest.vital_judge import Owner
from backend.people.readers import Sender
from backend.vitals.rows import uuid_array
from backend.vitals.segment import milliseconds
from backend.vitals.sources import DEVICE, device_source, source_ids

SPANS = """
SELECT device_id, patient_id, since, until FROM assignment
WHERE device_id = ANY(%s::uuid[]) AND compartment = 0 ORDER BY device_id, since
"""

# The same lock in the same order as people.hold, with the clinic looked at on the way.
HOLD = """
WITH held AS MATERIALIZED (
  SELECT patient_id FROM patient
  WHERE patient_id = ANY(%s::uuid[]) AND clinic_id = %s AND erased_at IS NULL
  ORDER BY patient_id FOR NO KEY UPDATE
) SELECT count(*), CASE WHEN count(*) < %s THEN array_agg(patient_id) END FROM held
"""

FOR_EVER = 2**62
Served = tuple[UUID, UUID, datetime, datetime | None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no owner; `rejected` things are not kept."""

    verdict: str
    reason: str
    patient_id: UUID | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A device served a patient: since <= at < until, milliseconds since 1970."""

    since: int
    until: int
    owner: Owner


@dataclass(frozen=True, slots=True)
class Owners:
    """What a sender may bring in this request; all its patients are held."""

    spans: Mapping[UUID, list[Span]]
    patients: Collection[UUID]
    sources: Mapping[str, int]

    def claim(self, item: Origin) -> Owner | list[Span] | Refusal:
        """Return whose an item is, whom its device served when, or why not."""
        if not complete(item):
            detail = "device_id, or patient_id and source"
            return Refusal("rejected", "malformed", detail=detail)
        device_id = item.get("device_id")
        if device_id is not None:
            found = self.spans.get(device_id)
            return Refusal("rejected", "unknown_device") if found is None else found
        patient_id, source = item.get("patient_id"), item.get("source", "")
        if patient_id is None or patient_id not in self.patients:
            return Refusal("rejected", "not_authorised")
        source_id = self.sources.get(source)
        if source_id is None:
            return Refusal("rejected", "not_authorised")
        return Owner(patient_id, source_id)

    def at(self, spans: list[Span], first: int, last: int) -> Owner | Refusal:
        """Return whose the samples of a device from `first` to `last` are.

        Those of the patient it served at the first; a run that goes on after that is
        nobody's.
        """
        place = bisect_right(spans, first, key=_since) - 1
        if place < 0 or first >= spans[place].until:
            return Refusal("quarantined", "unassigned")
        span = spans[place]
        if last >= span.until:
            return Refusal("quarantined", "beyond_assignment", span.owner.patient_id)
        if span.owner.patient_id not in self.patients:
            return Refusal("rejected", "not_authorised")  # erased
        return span.owner


def find_owners(session: Session, origins: Iterable[Origin], by: Sender) -> Owners:
    """Look up and lock, devices before patients, all that these items speak of."""
    devices: set[UUID] = set()
    patients: set[UUID] = set()
    names: set[str] = set()
    for origin in origins:
        if "device_id" in origin:
            devices.add(origin["device_id"])
        elif by.kind == "cloud" and complete(origin):
            patients.add(origin.get("patient_id") or UUID(int=0))
            names.add(origin.get("source", ""))
    mine = lock(session, devices, clinic_id=by.clinic_id) if devices else ()
    names |= {device_source(device_id) for device_id in mine}
    served = _served(session, mine)
    patients |= {patient_id for _, patient_id, _, _ in served}
    held = _hold(session, patients, by.clinic_id)
    sources = source_ids(session, by.clinic_id, names)
    return Owners(_spans(mine, served, sources), held, sources)


def _served(session: Session, devices: Collection[UUID]) -> Sequence[Served]:
    if not devices:
        return ()
    asked = (uuid_array(devices),)
    rows = run(session, SPANS, asked)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def _spans(
    devices: Collection[UUID], served: Sequence[Served], sources: Mapping[str, int]
) -> dict[UUID, list[Span]]:
    """Return whom each device served, in order of time."""
    spans: dict[UUID, list[Span]] = {device_id: [] for device_id in devices}
    for device_id, patient_id, since, until in served:
        end = FOR_EVER if until is None else milliseconds(until)
        owner = Owner(patient_id, sources[device_source(device_id)])
        spans[device_id].append(Span(milliseconds(since), end, owner))
    return spans


def _hold(session: Session, patients: set[UUID], clinic_id: UUID) -> set[UUID]:
    if not patients:
        return set()
    asked = (uuid_array(patients), clinic_id, len(patients))
    (count, some), *_ = run(session, HOLD, asked)
    if count == len(patients):  # the common case, without a thousand ids to read
        return patients
    return set(some or ())


def complete(item: Origin) -> bool:
    """Return whether an item says of whom it is, in one of the two ways."""
    if "device_id" in item:
        return "patient_id" not in item and "source" not in item
    source = item.get("source", "")
    usable = bool(source) and "\0" not in source and not source.startswith(DEVICE)
    return "patient_id" in item and usable


def _since(span: Span) -> int:
    return span.since
