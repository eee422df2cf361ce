"""What surrounds every page: who reads it, when, and where they can go."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """The readers, each with pages of their own."""

    PATIENT = "patient"
    CLINICIAN = "clinician"
    MANUFACTURER = "manufacturer"
    TECHNICIAN = "technician"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Link:
    """A place to go; `current` when the reader is there."""

    label: str
    href: str
    current: bool = False


@dataclass(frozen=True)
class Reader:
    """Who is signed in: `place` is a clinic's or company's name."""

    name: str
    role: Role
    place: str


@dataclass(frozen=True)
class Frame:
    """The surroundings of one page.

    `now` is domain time, shown in `zone`. `live` is the address of the event stream
    that says when to fetch this page again; None for a page that stands still.
    `speed` other than 1 says that the clock runs as a demonstration.
    """

    now: datetime
    zone: str = "UTC"
    reader: Reader | None = None
    csrf: str = ""
    live: str | None = None
    notice: str | None = None
    speed: float = 1.0


PLACES: dict[Role, tuple[tuple[str, str], ...]] = {
    Role.CLINICIAN: (
        ("Patients", "/patients"),
        ("Alerts", "/alerts"),
        ("Messages", "/outbox"),
        ("Adherence", "/adherence"),
    ),
    Role.MANUFACTURER: (("Orders", "/orders"), ("Feed", "/feed")),
    Role.PATIENT: (
        ("Today", "/today"),
        ("My record", "/me"),
        ("Reminders", "/reminders"),
    ),
    Role.TECHNICIAN: (("Devices", "/devices"),),
    Role.OPERATOR: (("Devices", "/devices"),),
}


def home(role: Role) -> str:
    """Return where a role's pages begin."""
    return PLACES[role][0][1]


def navigation(role: Role, here: str) -> tuple[Link, ...]:
    """Return a role's places; `here` is the address of the section being read."""
    return tuple(Link(label, href, href == here) for label, href in PLACES[role])
