"""A device of which nothing can be used: not heard, or its records have no time."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from analytics.findings import Contact, Detector, Finding, History
from analytics.records import Period

CODE = "device-silent"
AT_LEAST = timedelta(days=2)
CONTACTS = 3  # expected contacts that failed; a weekly injector is quiet for days
PARAMETERS = {
    "at_least_hours": AT_LEAST / timedelta(hours=1),
    "expected_contacts": float(CONTACTS),
}


def detect(history: History, now: datetime) -> list[Finding]:
    """Return a finding for each device that is silent for two days and three contacts.

    Both must be true. Time in which nobody expected to hear it (a non-monitored
    period) does not count, and inside one nothing is found. One that is heard, and
    whose latest records have no time, is found at once: it tells no more of doses.
    """
    found: list[Finding] = []
    for contact in sorted(history.contacts, key=lambda contact: contact.subject):
        heard = _reckoned_from(contact, history.non_monitored, now)
        silent = now - heard
        if silent >= max(AT_LEAST, CONTACTS * contact.every):
            found.append(_finding(contact, heard, silent, now))
        elif contact.undated_since is not None:
            found.append(_undated(contact, contact.undated_since, now))
    return found


def _reckoned_from(
    contact: Contact, non_monitored: Sequence[Period], now: datetime
) -> datetime:
    last = max(contact.since, contact.heard_until or contact.since)
    for period in non_monitored:
        if period.start <= now:
            last = max(last, now if period.until is None else min(now, period.until))
    return last


def _finding(
    contact: Contact, heard: datetime, silent: timedelta, now: datetime
) -> Finding:
    hours = silent / timedelta(hours=1)
    last = contact.heard_until
    return Finding(
        code=CODE,
        subject=contact.subject,
        at=now,
        since=heard,
        summary=f"Device not heard for {hours:.0f} hours: doses since are unknown",
        numbers={
            "silent_hours": hours,
            "contacts_missed": float(silent // contact.every),
            "heard_until": last.isoformat() if last else "never",
        },
        parameters=PARAMETERS,
    )


def _undated(contact: Contact, since: datetime, now: datetime) -> Finding:
    count = contact.undated
    records = "1 record has" if count == 1 else f"{count} records have"
    return Finding(
        code=CODE,
        subject=contact.subject,
        at=now,
        since=since,
        summary=f"Device's clock cannot be believed: {records} no time",
        numbers={"undated": float(count)},
        parameters={},
    )


DETECTOR = Detector("silence", CODE, timedelta(days=30), detect, ("contacts",))
