"""Plays a story that stands in a JSON file of tests/scenarios.

    {"what": "a sentence", "begins": T, "ends": T,
     "patient": {"zone": "Europe/Zurich", "times": ["08:00"], "tablets": 60,
                "criticality": "standard"},
     "past_days": 0,               doses every day before, still in the box at `begins`,
     "past_ends": 0,               but none in the last so many of those days
     "happens": [[T, ACT, ...]],   in order of time
     "then": {"labels": {OCCURRENCE: LABEL, ...}, "ever": [LABEL, ...],
              "messages": [[T, text], ...], "alerts": [[rule, state], ...],
              "on_hand": n, "counts": {...}}}

T is ISO 8601 with offset, to the minute. Of `then` only what is there is compared.
ACT: `opens`, `leaves` (out of reach), `returns`, `says_taken` T, `replies` text (to the
latest reminder), `voids` (the last dose), `moves` zone, `withdraws` purpose,
`acknowledges`, `closes` (the open alert).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from backend.alerts.act import acknowledge, close
from backend.audit.record import Actor
from backend.database import transaction
from backend.ingest.answer import answer
from backend.ingest.correct import void_dose
from backend.ingest.self_report import self_report
from backend.people.consent import withdraw
from notifications.replies import understand
from tests.stories.clinic import DAY, Box, Story, a_box, a_story
from tests.stories.life import Life, a_life, alerts, counts, ever, labels, on_hand

SCENARIOS = Path(__file__).parents[1] / "scenarios"


def load(name: str) -> dict[str, Any]:
    return json.loads((SCENARIOS / f"{name}.json").read_text(encoding="utf-8"))


def names() -> list[str]:
    return sorted(path.stem for path in SCENARIOS.glob("*.json"))


@dataclass
class Play:
    """A scenario on its way: one patient, one box."""

    story: Story
    life: Life
    box: Box

    def opens(self) -> None:
        self.story.open(self.box)

    def leaves(self) -> None:
        self.box.in_reach = False

    def returns(self) -> None:
        self.box.in_reach = True
        self.story.meet()

    def says_taken(self, when: str) -> None:
        reader = self.story.reader("patient", self.life.patient_id)
        with transaction() as session:
            self_report(
                session,
                reader,
                self.life.regimen.regimen_id,
                at=datetime.fromisoformat(when),
                key=uuid4(),
                now=self.story.now,
            )

    def replies(self, text: str) -> None:
        own = self.life.patient_id
        with transaction() as session:
            answer(
                session,
                own,
                understand(text, "en"),
                message_id=None,
                now=self.story.now,
                by=Actor("patient", own, None),
            )

    def voids(self) -> None:
        last = self._last("dose_event", "dose_event_id", "occurred_at")
        with transaction() as session:
            doctor, now = self.story.doctor, self.story.now
            void_dose(session, doctor, last, reason="refill", now=now)

    def moves(self, zone: str) -> None:
        self.life.moves(self.story, zone)

    def withdraws(self, purpose: str) -> None:
        own = self.life.patient_id
        with transaction() as session:
            withdraw(
                session,
                own,
                purpose,
                self.story.clinic.clinic_id,
                actor=Actor("patient", own, None),
                now=self.story.now,
            )

    def acknowledges(self) -> None:
        last = self._last("alert", "alert_id", "triggered_at")
        with transaction() as session:
            acknowledge(session, self.story.doctor, last, now=self.story.now)

    def closes(self) -> None:
        last = self._last("alert", "alert_id", "triggered_at")
        doctor, now = self.story.doctor, self.story.now
        with transaction() as session:
            close(session, doctor, last, outcome="resolved", now=now)

    def _last(self, table: str, key: str, at: str) -> UUID:
        (row,) = self.story.rows(
            f"SELECT {key} AS id FROM {table} WHERE patient_id = :own "
            f"ORDER BY {at} DESC LIMIT 1",
            own=self.life.patient_id,
        )
        return row["id"]


def played(scenario: Mapping[str, Any]) -> Play:
    """Return the play after its last moment."""
    begins = datetime.fromisoformat(scenario["begins"])
    days = scenario.get("past_days", 0)
    story = a_story(begins)
    box = a_box(story)
    patient = dict(scenario["patient"])
    timing: dict[str, object] = {"kind": "clock_times", "times": patient.pop("times")}
    since = begins - days * DAY if days else None
    life = a_life(story, box, timing=timing, since=since, **patient)
    play = Play(story, life, box)
    if days:
        remember(play, days, scenario.get("past_ends", 0))
    for at, act, *rest in scenario["happens"]:
        story.until(datetime.fromisoformat(at))
        do: Callable[..., None] = getattr(play, act)
        do(*rest)
    story.until(datetime.fromisoformat(scenario["ends"]))
    return play


def outcome(play: Play) -> dict[str, Any]:
    """Return everything that a scenario may say of its end."""
    story, life = play.story, play.life
    return {
        "labels": labels(story, life),
        "ever": sorted(ever(story, life)),
        "messages": [[minute(at), text] for at, text in story.told],
        "alerts": [list(alert) for alert in alerts(story, life)],
        "on_hand": on_hand(story, life),
        "counts": counts(story, life),
    }


def expected(scenario: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file says of the end, its instants written as `outcome` does."""
    then = dict(scenario["then"])
    if "messages" in then:
        moments = [(datetime.fromisoformat(at), text) for at, text in then["messages"]]
        then["messages"] = [[minute(at), text] for at, text in moments]
    return then


def minute(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="minutes")


def remember(play: Play, days: int, ends: int) -> None:
    """Give the box a past: an opening a day, every seventh missing."""
    began = play.story.now - days * DAY
    for day in range(days - ends):
        if day % 7:
            at = (began + day * DAY).replace(hour=8) + timedelta(minutes=day % 20)
            play.box.open(at)
