"""The values that pass between claiming, wording, sending and settling."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session

# How long a worker may hold a message without a sign of life. It renews once a second.
LEASE = timedelta(seconds=60)
# How long an unknown outcome rests before the provider is asked: longer than a channel
# waits for an answer (10 s) and than an accepted message stays out of look-ups.
GRACE = timedelta(seconds=120)
# After this time outcomes are written and whether the rest of a batch is still wanted
# is looked at again: a dose may have been taken since they were claimed.
PACE = timedelta(seconds=1)


# Tuples, not dataclasses: at eight in the morning a hundred thousand of each are made.
class Claimed(NamedTuple):
    """A message that is due and locked, as it stands in its row."""

    message_id: UUID
    patient_id: UUID
    clinic_id: UUID
    kind: str
    channel: str
    address: str
    language: str
    params: Mapping[str, object]
    due_at: datetime
    valid_until: datetime
    attempt: int
    reference: str
    priority: int


class Worded(NamedTuple):
    """What to send, where to, and what decided it.

    `language` in `why` is that of the body; without one it is that of the row.
    """

    body: str
    kind: str
    address: str
    why: Mapping[str, object]
    to_caregiver: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """Not to be sent: `state` is `cancelled` or `expired`."""

    state: str
    why: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Held:
    """Not yet: whoever words it has moved it to a later instant."""


Verdict = Worded | Dropped | Held
Word = Callable[[Session, Sequence[Claimed], datetime], Mapping[UUID, Verdict]]


class Leased(NamedTuple):
    """A message this worker may send until its lease ends; `attempt` is the fence.

    `recipient` stands for where it goes; None: as often as anybody likes (`pace`).
    """

    message_id: UUID
    patient_id: UUID
    channel: str
    address: str
    body: str
    reference: str
    valid_until: datetime
    attempt: int
    language: str
    to_caregiver: bool
    recipient: int | None


class Outcome(NamedTuple):
    """What became of one attempt. `state` is the message's next state.

    `outcome` is what the ledger keeps: `sent`, `failed`, `retry`, `unknown` or
    `released` (given back unsent). `wait_until` (real time) is when it may go on.
    `recipient` has got one more, None when nobody has or nobody counts.
    """

    message_id: UUID
    attempt: int
    state: str
    outcome: str
    code: str | None
    provider_id: str | None
    started_at: datetime
    ended_at: datetime
    wait_until: datetime | None
    recipient: int | None = None
