"""The clinician's worklist as the last rung: an alert that a dose has no answer."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.alerts.raise_ import Seen, retract, trigger
from backend.clock import domain_now
from backend.database import transaction
from backend.database.sets import fetch
from backend.doses.changes import OPEN
from backend.people.hold import hold
from backend.reminders.plan import DoseKey, subject
from backend.state.refresh import refresh
from notifications.message import ChannelSettings, Message, Receipt, SendFailed

UNANSWERED, SKIPPED = "dose-unanswered", "dose-skipped"
SEVERITY = {"critical": "high", "high": "medium"}  # by what is at stake; else low


class Worklist:
    """A channel without a provider: what it is given becomes an alert, once a dose.

    So that a rung for the clinic has the same life as any other in the outbox.
    """

    per_second: float | None = None
    at_once = 1

    def __init__(self, now: Callable[[], datetime] = domain_now) -> None:
        self._now = now

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self:  # noqa: ARG003
        return cls()

    def send(self, message: Message) -> Receipt:
        """Raise the alert; raises SendFailed when the dose is settled meanwhile."""
        now = self._now()
        with transaction() as session:
            whose = _dose(session, message.message_id)
            if whose is None or not hold(session, [whose["patient_id"]]):
                raise SendFailed("no such dose", retry=False)
            dose = _dose(session, message.message_id)
            if dose is None or dose["label"] not in OPEN:
                raise SendFailed("dose is settled", retry=False)
            trigger(session, [_seen(session, dose)], now=now)
            refresh(session, [dose["patient_id"]], now=now)
        return Receipt(f"alert-{message.message_id}", "delivered")

    def look_up(self, message: Message) -> Sequence[Receipt]:
        """Return a receipt when the alert of this message's dose was ever raised."""
        with transaction() as session:
            dose = _dose(session, message.message_id)
            raised = dose is not None and fetch(
                session,
                "SELECT FROM alert WHERE patient_id = :id AND rule = :rule",
                id=dose["patient_id"],
                rule=rule_of(UNANSWERED, dose["regimen_id"], dose["occurrence"]),
            )
        return [Receipt(f"alert-{message.message_id}", "delivered")] if raised else []


def answered(session: Session, doses: Collection[DoseKey], *, now: datetime) -> None:
    """Take back the alerts that these doses have no answer: the patient gave one."""
    _take_back(session, doses, [UNANSWERED], "the patient answered", now)


def settled(
    session: Session, doses: Collection[DoseKey], *, because: str, now: datetime
) -> None:
    """Take back what was said of doses that turn out to be taken."""
    _take_back(session, doses, [UNANSWERED, SKIPPED], because, now)


def _take_back(
    session: Session,
    doses: Collection[DoseKey],
    codes: Collection[str],
    because: str,
    now: datetime,
) -> None:
    rules = {
        (patient_id, rule_of(code, regimen_id, occurrence))
        for patient_id, regimen_id, occurrence in doses
        for code in codes
    }
    retract(session, rules, because=because, now=now)


def rule_of(code: str, regimen_id: UUID, occurrence: str) -> str:
    """Return the rule of an alert about one dose: one alert a dose and code."""
    return f"{code}:{regimen_id}/{occurrence}"


def _dose(session: Session, message_id: UUID) -> RowMapping | None:
    rows = fetch(session, DOSE, id=message_id)
    return rows[0] if rows else None


def _seen(session: Session, dose: RowMapping) -> Seen:
    (told,) = fetch(
        session,
        TOLD,
        id=dose["patient_id"],
        subject=subject(dose["regimen_id"], dose["occurrence"]),
    )
    local = f"{dose['due_at'].astimezone(ZoneInfo(dose['zone'])):%H:%M}"
    heard: str | None = dose["why"].get("heard_until")
    return Seen(
        dose["patient_id"],
        rule_of(UNANSWERED, dose["regimen_id"], dose["occurrence"]),
        1,
        SEVERITY.get(dose["criticality"], "low"),
        f"No record of the {local} dose, and no answer",
        {
            "code": UNANSWERED,
            "subject": str(dose["regimen_id"]),
            "dose_due_at": dose["due_at"].isoformat(),
            "heard_until": heard,
            "numbers": {
                "reminders_sent": told["sent"],
                "reminders_not_sent": told["unsent"],
            },
        },
    )


DOSE = """
SELECT m.patient_id, m.why, d.regimen_id, d.occurrence, d.due_at, d.zone, d.label,
       g.criticality
FROM outbox_message AS m
JOIN scheduled_dose AS d ON d.patient_id = m.patient_id
    AND d.regimen_id = CAST(m.params ->> 'regimen_id' AS uuid)
    AND d.occurrence = m.params ->> 'occurrence'
JOIN regimen AS g ON g.patient_id = d.patient_id AND g.regimen_id = d.regimen_id
WHERE m.message_id = :id
"""

TOLD = """
SELECT count(*) FILTER (WHERE state IN ('sent', 'delivered')) AS sent,
       count(*) FILTER (WHERE state NOT IN ('sent', 'delivered')) AS unsent
FROM outbox_message AS m
WHERE m.patient_id = :id AND m.recipient_kind = 'patient'
  AND m.dedup_key >= :subject AND m.dedup_key < :subject || 'zz'
  AND starts_with(m.dedup_key, :subject)
"""
