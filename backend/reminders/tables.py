"""Who wants to be reminded how, what they answered, and when nothing may ring."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from backend.database.columns import Row, document, instant, small, text


class RegimenLadder(Row, table=True):
    """The ladder somebody wrote for a regimen; the highest version holds.

    `steps` is what `backend.reminders.ladder` reads; empty for the default of its
    criticality again. `fixed`: what it says never follows a habit.
    """

    patient_id: UUID = Field(primary_key=True)
    regimen_id: UUID = Field(primary_key=True)
    version: int = small(primary_key=True)
    steps: list[dict[str, object]] = document(default_factory=list)
    fixed: bool = False
    by: UUID | None = None
    reason: str = text()
    recorded_at: datetime = instant()


class ReminderPreference(Row, table=True):
    """How a patient wants to be reminded from `effective_from` on.

    Quiet hours are local times such as 22:00, both empty for none. `adaptive` allows
    reminders, not doses, to follow the person's habit.
    """

    patient_id: UUID = Field(primary_key=True)
    effective_from: datetime = instant(primary_key=True)
    quiet_since: str | None = text(default=None)
    quiet_until: str | None = text(default=None)
    adaptive: bool = False
    by: UUID | None = None
    recorded_at: datetime = instant()


class ReminderPause(Row, table=True):
    """A span in which nothing rings: `hospital` or `vacation`.

    `until` is empty while nobody knows; ended early it is when that was. In hospital
    doses are unknown to us: `span_id` is the row of days on which silence says nothing.
    """

    patient_id: UUID = Field(primary_key=True)
    pause_id: UUID = Field(default_factory=uuid4, primary_key=True)
    kind: str = text()
    since: datetime = instant()
    until: datetime | None = instant(default=None)
    span_id: UUID | None = None
    reason: str = text(default="")
    by: UUID | None = None
    recorded_at: datetime = instant()
    ended_at: datetime | None = instant(default=None)
    ended_by: UUID | None = None


class Caregiver(Row, table=True):
    """Somebody the patient named. Told nothing without a consent that names them."""

    patient_id: UUID = Field(primary_key=True)
    caregiver_id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = text()
    channel: str = text()
    address: str = text()
    language: str = text(default="en")
    rank: int = small(default=1)
    since: datetime = instant()
    until: datetime | None = instant(default=None)


class ReminderAnswer(Row, table=True):
    """What a patient answered, by the kinds of `notifications.replies`.

    One row a dose; without one where it is about none. `until` is how long a snooze
    holds, `said` what was written. `message_id` is the message it answers.
    """

    patient_id: UUID = Field(primary_key=True)
    answer_id: UUID = Field(default_factory=uuid4, primary_key=True)
    regimen_id: UUID | None = None
    occurrence: str | None = text(default=None)
    kind: str = text()
    until: datetime | None = instant(default=None)
    reason: str = text(default="")
    said: str = text(default="")
    message_id: UUID | None = None
    at: datetime = instant()
    recorded_at: datetime = instant()

    __table_args__ = (
        Index(
            "ix_reminder_answer_dose",
            "patient_id",
            "regimen_id",
            "occurrence",
            postgresql_where=sql("occurrence IS NOT NULL"),
        ),
    )


class OptOut(Row, table=True):
    """An address the patient wants no more messages at, until they take it back.

    `rank` is what the address had among theirs, to have it again.
    """

    patient_id: UUID = Field(primary_key=True)
    opt_out_id: UUID = Field(default_factory=uuid4, primary_key=True)
    channel: str = text()
    address: str = text()
    rank: int = small(default=1)
    since: datetime = instant()
    until: datetime | None = instant(default=None)


class ReminderShift(Row, table=True):
    """By how much the reminders of one time of day follow a habit since `since`.

    The last row of a (regimen, local time such as 08:00) holds. Each is an automatic
    decision.
    """

    patient_id: UUID = Field(primary_key=True)
    regimen_id: UUID = Field(primary_key=True)
    local_time: str = text(primary_key=True)
    since: datetime = instant(primary_key=True)
    shift_s: int
    decision_id: UUID | None = None
