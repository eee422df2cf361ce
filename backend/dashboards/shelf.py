"""What the page of devices shows, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True)
class Replacement:
    """A proposal, to be done by `act_by`: the battery may be empty soon after it."""

    device_id: UUID
    act_by: datetime
    empty_early: datetime
    empty_late: datetime | None


@dataclass(frozen=True)
class RegisteredDevice:
    """A device as an operator sees it: how it is, and its records of no use.

    `troubles` are what it told of itself in the last two weeks, `notes` what of that
    asks nothing of anybody; `clock` is how far its clock was ahead when last read.
    """

    name: str
    serial: str
    kind: str
    heard_until: datetime | None
    battery_percent: int | None
    replace: Replacement | None
    clock: str | None
    troubles: tuple[str, ...]
    notes: tuple[str, ...]
    assigned: bool
    unassigned: int
    quarantined: int
    silent: bool


@dataclass(frozen=True)
class DeviceListPage:
    """A clinic's devices, what needs a look in front."""

    template: ClassVar[str] = "devices.html"
    section: ClassVar[str] = "/devices"

    rows: tuple[RegisteredDevice, ...]
    first_href: str | None = None
    next_href: str | None = None
