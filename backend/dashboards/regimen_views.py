"""What pages show of regimens."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Prescribed:
    """What somebody takes, as a sentence, and in which language that is."""

    said: str
    language: str = "en"


@dataclass(frozen=True)
class AsNeededRow:
    """A medicine to be taken when needed: read before it is.

    `free_at` is when the next dose is within limits, empty when it is now. `key` is
    that of the next word of the patient for it.
    """

    what: str
    said: Prescribed
    regimen_id: UUID
    free_at: datetime | None
    taken: float
    most: int | None
    key: UUID
