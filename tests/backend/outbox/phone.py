"""A channel without a network: says yes, or what the test told it to say."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Self
from uuid import UUID, uuid4

from sqlmodel import Session

from backend.outbox.enqueue import Draft
from backend.outbox.message import Claimed, Verdict, Worded
from notifications.message import ChannelSettings, Message, Receipt, SendFailed
from tests.builders import NOW

NUMBERS = count()
REAL = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Phone:
    """What was accepted is in `got`; `failing` holds what the next sends raise."""

    per_second: float | None = None
    at_once = 1

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.failing: list[SendFailed] = []
        self.before_send: Callable[[Message], None] = lambda _message: None
        self.before_look_up: Callable[[Message], None] = lambda _message: None
        self.unreachable = False
        self.hides: set[str] = set()

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self:  # noqa: ARG003
        return cls()

    def send(self, message: Message) -> Receipt:
        self.before_send(message)
        if self.failing:
            raise self.failing.pop(0)
        self.got.append(message)
        return Receipt(f"SM{len(self.got)}")

    def look_up(self, message: Message) -> Sequence[Receipt] | None:
        self.before_look_up(message)
        if self.unreachable:
            raise SendFailed("unreachable", retry=True)
        return [
            Receipt(f"SM{number}")
            for number, it in enumerate(self.got, 1)
            if it.reference == message.reference and it.reference not in self.hides
        ]


class Clock:
    """Real time that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = REAL

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, time: timedelta) -> None:
        self.at += time


def plain(
    session: Session, claimed: Sequence[Claimed], now: datetime
) -> dict[UUID, Verdict]:
    """Word every message alike."""
    return {
        row.message_id: Worded(f"Ref {row.reference}", row.kind, row.address, {})
        for row in claimed
    }


def a_draft(
    *,
    patient_id: UUID | None = None,
    key: str = "k",
    due_at: datetime = NOW,
    valid_until: datetime = NOW + timedelta(hours=2),
    address: str | None = None,
    channel: str = "sms",
    priority: int = 5,
) -> Draft:
    """A message to a number of its own."""
    patient_id = patient_id or uuid4()
    return Draft(
        patient_id=patient_id,
        clinic_id=UUID(int=1),
        dedup_key=key,
        kind="note",
        recipient_id=patient_id,
        channel=channel,
        address=address or f"+4179{next(NUMBERS):07}",
        due_at=due_at,
        valid_until=valid_until,
        priority=priority,
    )
