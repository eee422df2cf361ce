"""What matching changed: the values that the rest of the loop acts on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class DoseChange:
    """A scheduled dose whose label changed."""

    patient_id: UUID
    regimen_id: UUID
    occurrence: str
    before: str
    after: str
    dose_event_id: UUID | None
    check_at: datetime | None
    because: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class EventChange:
    """A dose event whose label changed."""

    patient_id: UUID
    dose_event_id: UUID
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Changes:
    doses: tuple[DoseChange, ...] = ()
    events: tuple[EventChange, ...] = ()
