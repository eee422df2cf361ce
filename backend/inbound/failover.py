"""A message that failed goes once more, another way, while it still has a meaning.

What a code says decides: a number that is wrong or dead is passed over and reported, a
phone that is away is tried again a little later where there is no other way, an
opt-out is obeyed and not gone round, and a text that a carrier filtered is the
operator's to look into. See ADR 0068.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.alerts.raise_ import Seen, trigger
from backend.audit.record import SYSTEM, decide
from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.inbound.notice import FILTERED, tell_operator
from backend.outbox.enqueue import Draft, enqueue
from backend.people.hold import hold
from backend.people.reach import end_contact
from backend.reminders.opt_out import opt_out
from backend.reminders.together import BEHIND, SAID
from backend.state.refresh import refresh
from notifications.codes import GONE, NO_NUMBER, meaning

log = logging.getLogger(__name__)

RULE, VERSION = "failover", 1
SUFFIX = "/failover"
# Also when the message has no meaning any more: that a number is wrong, or opted out,
# holds for the next one.
LOOKED_AT = timedelta(days=1)
LATER = timedelta(minutes=10)  # until a phone that was away is tried again
KEPT = ("rung", "dose_due_at", "delay_s", "ladder")  # of why a message was planned
NOT_TAKEN_OVER = frozenset({"with", "behind", "silent"})


@dataclass(frozen=True, slots=True)
class Way:
    """Where a message goes next, and when."""

    channel: str
    address: str
    at: datetime


def fail_over(channels: Collection[str], *, now: datetime, limit: int = 100) -> int:
    """Send what failed another way; return how many failures were looked at. A job.

    One transaction for each, the patient held, and each failure once: what became of
    it stands in its `why`. `channels` are those that can be sent by.
    """
    with transaction() as session:
        failed = fetch(session, FAILED, now=now, since=now - LOOKED_AT, limit=limit)
    for row in failed:
        with transaction() as session:
            if not hold(session, [row["patient_id"]]):
                continue  # erased meanwhile, with all messages
            _follow(session, row["message_id"], channels, now=now)
    return len(failed)


def _follow(
    session: Session, message_id: UUID, channels: Collection[str], *, now: datetime
) -> None:
    rows = fetch(session, LOCK, message_id=message_id)
    if not rows:
        return  # another worker has seen to it
    row = rows[0]
    way = _act(session, row, channels, now=now)
    done = way.channel if way else "nobody"
    execute(session, MARK, message_id=message_id, done=done)
    if way is not None:
        draft = _draft(row, way)
        enqueue(session, [draft], now=now)
        _take_along(session, row, draft)
    decide(
        session,
        patient_id=row["patient_id"],
        rule=RULE,
        version=VERSION,
        inputs={
            "message_id": str(message_id),
            "channel": row["channel"],
            "code": row["code"],
            "valid_until": row["valid_until"],
        },
        outcome={"to": done, "at": way.at if way else None},
        at=now,
    )


def _act(
    session: Session, row: RowMapping, channels: Collection[str], *, now: datetime
) -> Way | None:
    """Do what the code asks for and return the way that is left, if any."""
    said = meaning(row["code"])
    if row["recipient_kind"] != "patient":
        return None
    if said == "opted out":
        _stop(session, row, now=now)
        return None
    if said == "bad address":
        _report(session, row, now=now)
    elif row["channel"] == "voice":
        return None  # a call is made once, then comes the next rung
    if said == "filtered":
        tell_operator(session, FILTERED, row, now=now)
    if row["valid_until"] <= now or row["dedup_key"].endswith(SUFFIX):
        return None
    return _next_way(session, row, channels, now=now)


def _next_way(
    session: Session, row: RowMapping, channels: Collection[str], *, now: datetime
) -> Way | None:
    said = meaning(row["code"])
    found = fetch(
        session,
        OTHERS,
        patient=row["patient_id"],
        channel=row["channel"],
        address=row["address"],
        channels=sorted(channels),
        other_channel=said == "filtered",
        other_address=row["code"] in NO_NUMBER,
        now=now,
    )
    if found:
        return Way(found[0]["channel"], found[0]["address"], now)
    if said == "later" and now + LATER < row["valid_until"]:
        return Way(row["channel"], row["address"], now + LATER)
    return None


def _draft(row: RowMapping, way: Way) -> Draft:
    params = {
        key: value for key, value in row["params"].items() if key not in NOT_TAKEN_OVER
    }
    why = {key: value for key, value in row["why"].items() if key in KEPT}
    key = row["dedup_key"] + SUFFIX
    if "also_for" in row["why"]:
        together = row["params"]["with"]
        params["with"] = [key if it == row["dedup_key"] else it for it in together]
    return Draft(
        patient_id=row["patient_id"],
        clinic_id=row["clinic_id"],
        dedup_key=key,
        kind=row["kind"],
        recipient_id=row["recipient_id"],
        recipient_kind=row["recipient_kind"],
        channel=way.channel,
        address=way.address,
        due_at=way.at,
        valid_until=row["valid_until"],
        language=row["language"],
        priority=row["priority"],
        params={**params, "listed": way.channel},
        why={**why, "after": str(row["message_id"]), "after_code": row["code"]},
    )


def _take_along(session: Session, row: RowMapping, draft: Draft) -> None:
    """Have the doses that the failed message spoke for told by the one after it.

    They wait for it as doses due together do, and speak for themselves if it does not
    come. What was taken meanwhile has no words, then as now.
    """
    if "with" not in draft.params:
        return
    execute(
        session,
        TAKE_ALONG,
        ids=row["why"]["also_for"],
        keys=draft.params["with"],
        after=str(row["message_id"]),
        told_at=draft.due_at,
        later=draft.due_at + BEHIND,
        said=SAID.why["cancelled"],
    )


def _stop(session: Session, row: RowMapping, *, now: datetime) -> None:
    """Never write to this number again; the patient told the provider so, not us."""
    address = row["params"].get("listed", row["channel"]), row["address"]
    if opt_out(session, row["patient_id"], address, now=now):
        title = "Patient wants no more messages by this channel"
        _raise(session, row, f"opted-out:{address[0]}", title, now=now)


def _report(session: Session, row: RowMapping, *, now: datetime) -> None:
    """Tell those who care that an address is wrong; a dead subscription just ends."""
    if row["code"] == GONE:
        where = row["patient_id"], row["channel"], row["address"]
        end_contact(session, *where, actor=SYSTEM, now=now)
        return
    title = "Messages do not reach the patient: the address is wrong"
    _raise(session, row, f"address-wrong:{row['channel']}", title, now=now)


def _raise(
    session: Session, row: RowMapping, rule: str, title: str, *, now: datetime
) -> None:
    code, _, subject = rule.partition(":")
    finding = {
        "code": code,
        "subject": subject,
        "at": now.isoformat(),
        "provider_code": row["code"],
    }
    seen = Seen(row["patient_id"], rule, VERSION, "medium", title, finding)
    trigger(session, [seen], now=now)
    refresh(session, [row["patient_id"]], now=now)


FAILED = """
SELECT message_id, patient_id FROM outbox_message
WHERE state = 'failed' AND NOT why ? 'failed_over'
  AND settled_at > :since AND settled_at <= :now
ORDER BY settled_at LIMIT :limit
"""

LOCK = """
SELECT message_id, patient_id, clinic_id, dedup_key, kind, recipient_kind,
    recipient_id, channel, address, language, priority, params, why, valid_until, code
FROM outbox_message
WHERE message_id = :message_id AND state = 'failed' AND NOT why ? 'failed_over'
FOR UPDATE
"""

MARK = """
UPDATE outbox_message
SET why = why || jsonb_build_object('failed_over', CAST(:done AS text))
WHERE message_id = :message_id
"""

TAKE_ALONG = """
UPDATE outbox_message
SET state = 'pending', settled_at = NULL, due_at = :later,
    params = params - 'behind' || jsonb_build_object('with', CAST(:keys AS text[])),
    why = why - 'cancelled' || jsonb_build_object('after', CAST(:after AS text))
WHERE message_id = ANY(CAST(:ids AS uuid[])) AND valid_until > :told_at
  AND (state = 'pending' AND attempt = 0
       OR state = 'cancelled' AND why ->> 'cancelled' = :said)
"""

OTHERS = """
SELECT channel, address FROM contact_point
WHERE patient_id = :patient AND channel = ANY(:channels)
  AND (channel, address) <> (:channel, :address)
  AND NOT (:other_channel AND channel = :channel)
  AND NOT (:other_address AND address = :address)
  AND since <= :now AND (until IS NULL OR until > :now)
ORDER BY rank, since DESC, channel LIMIT 1
"""
