"""What the page of a patient's reminders shows, as values."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True)
class LedgerRow:
    """One reminder: why and when it was to go, to whom, and all that became of it.

    `to` is masked; `body` is None for what never went. `steps` are what the provider
    said, in order, and `after` what happened then.
    """

    message_id: UUID
    due_at: datetime
    what: str
    to: str
    channel: str
    address: str
    state: str
    why: str
    body: str | None
    steps: tuple[str, ...]
    after: str


@dataclass(frozen=True)
class StepRow:
    """One step of a ladder in its form: minutes from the dose, before it below 0."""

    minutes: int | None
    whom: str
    sentence: str = ""


@dataclass(frozen=True)
class Whom:
    """One way to reach somebody, as a form offers it."""

    value: str
    label: str


@dataclass(frozen=True)
class LadderRow:
    """The ladder of one medicine; `version` 0: nobody wrote one, the default holds."""

    regimen_id: UUID
    medicine: str
    criticality: str
    version: int
    steps: tuple[StepRow, ...]
    blank: tuple[StepRow, ...] = ()
    written: str = ""
    fixed: bool = False


@dataclass(frozen=True)
class PauseRow:
    """A span in which nothing rings; `may_end` when the reader may end it now."""

    pause_id: UUID
    what: str
    reason: str
    may_end: bool


@dataclass(frozen=True)
class RemindersPage:
    """How a patient is reminded, and each reminder there was.

    `path` is where this page and its forms are, `own` whether the patient reads it.
    `push_key` is what the patient's browser subscribes with, where push is set up.
    """

    template: ClassVar[str] = "reminders.html"

    name: str
    path: str
    back_href: str
    own: bool
    ladders: tuple[LadderRow, ...]
    whom: tuple[Whom, ...]
    pauses: tuple[PauseRow, ...]
    pause_kinds: tuple[Whom, ...]
    quiet_since: str
    quiet_until: str
    adaptive: bool
    moved: tuple[str, ...]
    today: date
    rows: tuple[LedgerRow, ...]
    push_key: str | None = None
    next_href: str | None = None
    section: str = "/patients"
