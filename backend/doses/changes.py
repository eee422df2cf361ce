"""What matching changed: the values that the rest of the loop acts on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

Fact = tuple[UUID, UUID, date]  # patient, regimen, and the day it may change


# Of such a dose nobody can say yet whether anything was used.
OPEN = frozenset({"pending", "late", "unknown"})


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

    @property
    def dose(self) -> tuple[UUID, UUID, str]:
        """Patient, regimen and occurrence: what names a scheduled dose."""
        return self.patient_id, self.regimen_id, self.occurrence


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

    def matched(self) -> set[tuple[UUID, UUID]]:
        """The (patient, dose event) that are now another thing, or another dose."""
        return {(one.patient_id, one.dose_event_id) for one in self.events} | {
            (one.patient_id, one.dose_event_id)
            for one in self.doses
            if one.dose_event_id is not None
        }

    def settled(self) -> set[tuple[UUID, UUID]]:
        """The (patient, regimen) of whose use more, or less, is known than before."""
        return {
            (one.patient_id, one.regimen_id)
            for one in self.doses
            if (one.before in OPEN) != (one.after in OPEN)
        }
