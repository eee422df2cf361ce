"""Reads a story of reminders off the outbox: a line for each thing that happened.

Mon 08:15 text: Your 08:00 dose has not been recorded yet.
Mon 08:30 call: Your 08:00 dose has not been recorded yet.
Mon 09:00 worklist, high: No record of the 08:00 dose, and no answer
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from backend.audit.record import SYSTEM, Actor
from backend.database import transaction
from backend.desk.change import grant_consent, live_in
from backend.inbound.failover import fail_over
from backend.ingest.answer import Answered, answer
from backend.ingest.extend import schedule
from backend.ingest.pause import pause
from backend.ingest.self_report import self_report
from backend.outbox.receipts import receive
from backend.people.consent import withdraw
from backend.people.reachable import keep_reach
from backend.people.register import Contact
from backend.people.tables import ContactPoint, Patient
from backend.reminders.wishes import (
    Preference,
    name_caregiver,
    prefer,
    write_ladder,
)
from notifications.replies import understand
from notifications.wording import say
from tests import builders
from tests.stories.clinic import Story, a_story, plain
from tests.stories.life import Life, a_life

COMING = "text: Your 08:00 dose is coming up."
ASKED = (
    "We have no record of your 08:00 dose. "
    "If you have not taken it, ask your clinic before you take it late."
)
CARE = (
    "text to the caregiver: Rosa named you as a contact. "
    "A reminder today has had no answer. Please check how they are."
)
NOBODY = "No record of the 08:00 dose, and no answer"
WRONG = "worklist, medium: Messages do not reach the patient: the address is wrong"
BOTH = (
    "We cannot tell whether 2 doses were recorded: 08:00. "
    "Ask your clinic before you take any of them late."
)
ONCE: dict[str, object] = {"kind": "clock_times", "times": ["08:00"]}
BY = {"sms": "text", "voice": "call", "email": "mail"}
DAUGHTER = "+41790000099"
MAIL = "rosa@example.org"
EIGHT_AND_EIGHT: dict[str, object] = {
    "kind": "clock_times",
    "times": ["08:00", "20:00"],
}


@dataclass
class Diary:
    """One patient without a box: only what they say is known."""

    story: Story
    life: Life
    zone: str = "Europe/Zurich"

    def until(self, day: int, clock: str = "00:00") -> None:
        """Let time pass until a local time of a day of March 2026, the 2nd a Monday."""
        self.story.until(self.at(day, clock))

    def at(self, day: int, clock: str) -> datetime:
        hour, minute = map(int, clock.split(":"))
        return datetime(2026, 3, day, hour, minute, tzinfo=ZoneInfo(self.zone))

    def says(self, text: str, *, to: UUID | None = None) -> str:
        """Let the patient answer by text and return what they are told."""
        reply = understand(text, "en")
        with transaction() as session:
            told: Answered = answer(
                session,
                self.life.patient_id,
                reply,
                message_id=to,
                now=self.story.now,
                by=Actor("patient", self.life.patient_id, self.story.clinic.clinic_id),
                address=("sms", "+41790000001"),
            )
        self.story.meet()
        return say(told.key, "en", **told.words)

    def withdraws(self, purpose: str, recipient_id: UUID) -> None:
        with transaction() as session:
            withdraw(
                session,
                self.life.patient_id,
                purpose,
                recipient_id,
                actor=SYSTEM,
                now=self.story.now,
            )

    def prefers(self, preference: Preference) -> None:
        with transaction() as session:
            own, now = self.life.patient_id, self.story.now
            prefer(session, own, preference, actor=SYSTEM, now=now)

    def writes_ladder(
        self, *steps: tuple[int, str, str], replaces: int = 0, fixed: bool = False
    ) -> int:
        """Let a clinician write (minutes, channel, recipient) for the drug."""
        with transaction() as session:
            return write_ladder(
                session,
                self.life.patient_id,
                self.life.regimen.regimen_id,
                [{"minutes": m, "channel": c, "recipient": r} for m, c, r in steps],
                reason="as agreed",
                replaces=replaces,
                fixed=fixed,
                actor=SYSTEM,
                now=self.story.now,
            )

    def pauses(self, kind: str, first: int, last: int | None) -> UUID:
        """Let nothing ring from one day of the month to another, both included."""
        until = None if last is None else self.at(last + 1, "00:00")
        with transaction() as session:
            return pause(
                session,
                self.life.patient_id,
                kind,
                since=self.at(first, "00:00"),
                until=until,
                actor=SYSTEM,
                now=self.story.now,
            )

    def moves(self, zone: str) -> None:
        with transaction() as session:
            live_in(
                session,
                self.life.patient_id,
                zone,
                actor=SYSTEM,
                now=self.story.now,
            )

    def also_takes(self) -> UUID:
        """Let the patient take a second drug at the same time as the first."""
        with transaction() as session:
            regimen = builders.a_regimen(
                session,
                self.life.patient,
                timing={"kind": "clock_times", "times": ["08:00"]},
                effective_from=self.story.now,
            )
            session.flush()
            schedule(session, [self.life.patient_id], now=self.story.now)
        return regimen.regimen_id

    def takes(self, regimen_id: UUID) -> None:
        """Let the patient say on their page that they took one drug."""
        reader = self.story.reader("patient", self.life.patient_id)
        with transaction() as session:
            self_report(
                session,
                reader,
                regimen_id,
                at=self.story.now,
                key=uuid4(),
                now=self.story.now,
            )

    def fails(self, code: str) -> None:
        """Let the provider say of the text it took first that it did not arrive."""
        (first, *_) = self.story.rows(
            "SELECT message_id, provider_id FROM outbox_message "
            "WHERE patient_id = :id AND state = 'sent' ORDER BY started_at",
            id=self.life.patient_id,
        )
        with transaction() as session:
            receive(
                session,
                **first,
                status="failed",
                code=code,
                now=self.story.now,
                real=self.story.now,
            )
        fail_over(self.story.channels, now=self.story.now)
        self.story.meet()

    def also_reads_mail(self) -> None:
        with transaction() as session:
            whose, now = self.life.patient_id, self.story.now
            session.add(
                ContactPoint(
                    patient_id=whose, channel="email", address=MAIL, rank=2, since=now
                )
            )
            keep_reach(session, [whose])

    def lines(self) -> list[str]:
        """Return what went and what was raised, in order."""
        sent = self.story.rows(
            """SELECT started_at AS at, channel, recipient_kind AS whom, body
            FROM outbox_message
            WHERE patient_id = :id AND state IN ('sent', 'delivered')
              AND channel <> 'worklist'""",
            id=self.life.patient_id,
        )
        raised = self.story.rows(
            "SELECT triggered_at AS at, severity, title FROM alert "
            "WHERE patient_id = :id",
            id=self.life.patient_id,
        )
        told = [(row["at"], _message(row)) for row in sent]
        told += [
            (row["at"], f"worklist, {row['severity']}: {row['title']}")
            for row in raised
        ]
        return [
            f"{at.astimezone(ZoneInfo(self.zone)):%a %H:%M} {what}"
            for at, what in sorted(told)
        ]

    def dropped(self) -> list[str]:
        """Return the rungs that did not go, each with its reason."""
        rows = self.story.rows(
            """SELECT due_at, why ->> 'rung' AS rung,
                coalesce(why ->> 'cancelled', why ->> 'expired') AS reason
            FROM outbox_message WHERE patient_id = :id
              AND state IN ('cancelled', 'expired') ORDER BY due_at""",
            id=self.life.patient_id,
        )
        return [
            f"{row['due_at'].astimezone(ZoneInfo(self.zone)):%a %H:%M} "
            f"{row['rung']}: {row['reason']}"
            for row in rows
        ]

    def open_alerts(self) -> list[str]:
        rows = self.story.rows(
            "SELECT title FROM alert WHERE patient_id = :id AND state <> 'closed' "
            "ORDER BY triggered_at",
            id=self.life.patient_id,
        )
        return [row["title"] for row in rows]


def a_diary(
    criticality: str = "critical",
    *,
    day: int = 2,
    clock: str = "06:00",
    timing: dict[str, object] = EIGHT_AND_EIGHT,
) -> Diary:
    """Return the diary of somebody who takes such a drug from then on."""
    zone = ZoneInfo("Europe/Zurich")
    hour, minute = map(int, clock.split(":"))
    story = a_story(datetime(2026, 3, day, hour, minute, tzinfo=zone))
    life = a_life(story, None, timing=timing, criticality=criticality)
    return Diary(story, life)


def a_daughter(diary: Diary, *, consented: bool = True) -> UUID:
    """Let the patient name somebody, and allow that they are told."""
    patient: Patient = diary.life.patient
    now = diary.story.now
    with transaction() as session:
        who = name_caregiver(
            session,
            patient.patient_id,
            "Lena",
            Contact("sms", DAUGHTER),
            language="en",
            actor=SYSTEM,
            now=now,
        )
        if consented:
            grant_consent(
                session,
                patient.patient_id,
                "caregiver",
                who,
                version=1,
                wording="consent-1",
                actor=SYSTEM,
                now=now,
            )
    return who


def _message(row: dict[str, object]) -> str:
    whom = " to the caregiver" if row["whom"] == "caregiver" else ""
    return f"{BY[str(row['channel'])]}{whom}: {plain(str(row['body']))}"
