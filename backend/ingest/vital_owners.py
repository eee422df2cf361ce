"""Whose samples a sender may bring: his clinic's devices and, in a cloud, patients."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

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
    patient_id: UUID


@dataclass(frozen=True, slots=True)
class Owners:
    """What a sender may bring in this request; all its patients are held."""

    spans: Mapping[UUID, list[Span]]
    patients: Collection[UUID]
    sources: Mapping[str, int]

    def of(self, item: Origin, first: int, last: int) -> Owner | Refusal:
        """Return whose the samples from `first` to `last` are.

        Those of a device belong to whom it served at the first; a run that goes on
        after that is nobody's.
        """
        device_id = item.get("device_id")
        if device_id is not None and self.knows(item):
            return self._of_device(device_id, first, last)
        patient_id, source = item.get("patient_id"), item.get("source", "")
        if patient_id is None or not self.knows(item):
            return self.stranger(item)
        return Owner(patient_id, self.sources[source])

    def stranger(self, item: Origin) -> Refusal:
        """Return what is said of an item that the sender may not bring."""
        if not complete(item):
            return Refusal(
                "rejected", "malformed", detail="device_id, or patient_id and source"
            )
        return Refusal(
            "rejected", "unknown_device" if "device_id" in item else "not_authorised"
        )

    def _of_device(self, device_id: UUID, first: int, last: int) -> Owner | Refusal:
        spans = self.spans[device_id]
        place = bisect_right(spans, first, key=_since) - 1
        if place < 0 or first >= spans[place].until:
            return Refusal("quarantined", "unassigned")
        span = spans[place]
        if last >= span.until:
            return Refusal("quarantined", "beyond_assignment", span.patient_id)
        if span.patient_id not in self.patients:
            return Refusal("rejected", "not_authorised")  # erased
        return Owner(span.patient_id, self.sources[device_source(device_id)])

    def knows(self, item: Origin) -> bool:
        """Return whether the sender may bring anything of this origin."""
        if not complete(item):
            return False
        if "device_id" in item:
            return item["device_id"] in self.spans
        of_cloud = item.get("source", "") in self.sources
        return of_cloud and item.get("patient_id") in self.patients


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
    spans = _spans(session, mine)
    patients |= {span.patient_id for of in spans.values() for span in of}
    held = _hold(session, patients, by.clinic_id)
    names |= {device_source(device_id) for device_id in spans}
    return Owners(spans, held, source_ids(session, by.clinic_id, names))


def _hold(session: Session, patients: set[UUID], clinic_id: UUID) -> set[UUID]:
    if not patients:
        return set()
    asked = (uuid_array(patients), clinic_id, len(patients))
    count, some = session.connection().exec_driver_sql(HOLD, asked).one()
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


def _spans(session: Session, devices: Collection[UUID]) -> dict[UUID, list[Span]]:
    if not devices:
        return {}
    spans: defaultdict[UUID, list[Span]] = defaultdict(list)
    rows = session.connection().exec_driver_sql(SPANS, (uuid_array(devices),))
    for device_id, patient_id, since, until in rows:
        spans[device_id].append(_span(since, until, patient_id))
    return {device_id: spans[device_id] for device_id in devices}


def _span(since: datetime, until: datetime | None, patient_id: UUID) -> Span:
    end = FOR_EVER if until is None else milliseconds(until)
    return Span(milliseconds(since), end, patient_id)


def _since(span: Span) -> int:
    return span.since
