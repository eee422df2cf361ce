"""A patient with boxes, a phone and a clinic around them, on a clock moved by hand.

The boxes are told what to do; everything behind them is the real thing: the bridge's
JSON, the accepting transaction, the worker's jobs. Only the phone is ours.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from backend.database import transaction
from backend.database.sets import fetch
from backend.inbound.failover import fail_over
from backend.ingest.accept import accept_doses
from backend.ingest.accept_events import accept_events
from backend.ingest.elapse import elapse
from backend.ingest.extend import extend
from backend.ingest.items import DoseItem, EventItem, Verdict, read
from backend.ingest.screen import screen_due, screen_silent
from backend.ingest.worklist import Worklist
from backend.outbox.deliver import deliver
from backend.outbox.recent import Recent
from backend.outbox.reconcile import reconcile
from backend.people.readers import Reader, Sender
from backend.people.tables import Clinic, Clinician, Organization
from backend.reminders.ladder import WORKLIST
from backend.reminders.word import word
from backend.supply.tables import Product
from notifications.message import Channel
from tests import builders
from tests.backend.outbox.phone import Phone

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
JOBS: tuple[Callable[[datetime], int], ...] = (extend, elapse, screen_due)
BEAT = timedelta(seconds=20)  # so long ago was a box in reach heard at most
REFERENCE = re.compile(r" Ref \w+$")


@dataclass
class Box:
    """A pill box: what it has recorded, and which of it no bridge has fetched yet."""

    device_id: UUID
    in_reach: bool = True
    recorded: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    fetched: int = 0

    def open(self, at: datetime) -> None:
        number = len(self.recorded) + 1
        self.recorded.append(
            {
                "device_id": str(self.device_id),
                "epoch": 0,
                "sequence": number,
                "payload_hash": sha256(f"{number}/{at}".encode()).hexdigest(),
                "occurred_at": at.isoformat(),
                "evidence": "container_opened",
                "claimed_live": self.in_reach,
            }
        )

    def heard(self, at: datetime) -> dict[str, Any]:
        return {
            "device_id": str(self.device_id),
            "kind": "heard",
            "heard_until": {
                "epoch": 0,
                "sequence": len(self.recorded),
                "at": at.isoformat(),
            },
        }


@dataclass
class Story:
    """Everybody in it, what time it is, and what the phones have received."""

    now: datetime
    clinic: Clinic
    clinician: Clinician
    manufacturer: Organization
    product: Product
    bridges: list[Sender]
    phone: Phone = field(default_factory=Phone)
    calls: Phone = field(default_factory=Phone)
    mail: Phone = field(default_factory=Phone)
    recent: Recent = field(default_factory=Recent)
    boxes: list[Box] = field(default_factory=list[Box])
    told: list[tuple[datetime, str]] = field(default_factory=list[tuple[datetime, str]])

    def until(self, at: datetime) -> None:
        """Let time pass, from each moment at which something is due to the next."""
        while self.now < at:
            self.now = min(self._next_due(), at)
            self.meet()

    def _next_due(self) -> datetime:
        """When a label may change, a message is due, or a day is to be written."""
        (row,) = self.rows(
            """SELECT least(
                (SELECT min(check_at) FROM scheduled_dose WHERE check_at > :now),
                (SELECT min(due_at) FROM outbox_message
                 WHERE due_at > :now AND state = 'pending'),
                (SELECT min(lease_until) FROM outbox_message
                 WHERE lease_until > :now AND state IN ('pending', 'unknown'))
                ) AS at""",
            now=self.now,
        )
        soon = self.now + 12 * HOUR
        return soon if row["at"] is None else min(row["at"], soon)

    def meet(self) -> None:
        """Let the bridges read every box in reach, and the worker work."""
        for box in self.boxes:
            if box.in_reach:
                self.read_box(box)
        self.work()

    def read_box(self, box: Box, *, by: Iterable[Sender] = ()) -> list[Verdict]:
        items = box.recorded[box.fetched :]
        box.fetched = len(box.recorded)
        verdicts: list[Verdict] = []
        for sender in by or self.bridges[:1]:
            verdicts += self.send(items, by=sender)
            self.hear(box, by=sender)
        return verdicts

    def send(
        self, items: list[dict[str, Any]], *, by: Sender | None = None
    ) -> list[Verdict]:
        if not items:
            return []
        with transaction() as session:
            return accept_doses(
                session,
                read(items, DoseItem),
                by=by or self.bridges[0],
                now=self.now,
                real=self.now,
            )

    def hear(self, box: Box, *, by: Sender | None = None) -> None:
        with transaction() as session:
            accept_events(
                session,
                read([box.heard(self.now - BEAT)], EventItem),
                by=by or self.bridges[0],
                now=self.now,
                real=self.now,
            )

    def work(self) -> None:
        """Do what every job of a worker does."""
        screen_silent(self.now)
        for job in JOBS:
            while job(self.now):
                pass
        reconcile(self.channels, now=self.now, real=lambda: self.now)
        sent = len(self.phone.got)
        while deliver(
            self.channels,
            now=self.now,
            real=lambda: self.now,
            word=word,
            recent=self.recent,
        ):
            fail_over(self.channels, now=self.now)
        self.told += [(self.now, plain(it.body)) for it in self.phone.got[sent:]]

    @property
    def channels(self) -> dict[str, Channel]:
        """The phone that gets texts, the one that rings, mail, and the worklist."""
        return {
            "sms": self.phone,
            "voice": self.calls,
            "email": self.mail,
            WORKLIST: Worklist(lambda: self.now),
        }

    def open(self, box: Box, *, at: datetime | None = None) -> None:
        """Let somebody open a box now, or at a moment that comes."""
        if at is not None:
            self.until(at)
        box.open(self.now)
        self.meet()

    def reader(self, role: str, subject_id: UUID) -> Reader:
        clinic = None if role == "manufacturer" else self.clinic.clinic_id
        return Reader(uuid4(), role, subject_id, clinic)

    @property
    def doctor(self) -> Reader:
        return self.reader("clinician", self.clinician.clinician_id)

    def rows(self, statement: str, **given: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        with transaction() as session:
            return [dict(row) for row in fetch(session, statement, **given)]


def a_story(at: datetime) -> Story:
    with transaction() as session:
        clinic = builders.a_clinic(session)
        maker = builders.a_manufacturer(session)
        bridges = [
            Sender(
                builders.a_bridge(session, clinic, name=name).bridge_id,
                clinic.clinic_id,
                "gateway",
            )
            for name in ("ward 3", "ward 4")
        ]
        return Story(
            at,
            clinic,
            builders.a_clinician(session, clinic),
            maker,
            builders.a_product(session, maker),
            bridges,
        )


def a_box(story: Story) -> Box:
    with transaction() as session:
        box = Box(builders.a_device(session, story.clinic).device_id)
    story.boxes.append(box)
    return box


def plain(body: str) -> str:
    """Return a message without the reference that no two share."""
    return REFERENCE.sub("", body)
