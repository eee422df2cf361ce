"""A message that failed goes once more, another way, while it still has a meaning.

What a code says decides: a number that is wrong or dead is passed over and reported, a
phone that is away is tried again a little later where there is no other way, an
opt-out is obeyed and not gone round, and a text that a carrier filtered is the
operator's to look into. See ADR 0068.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
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
from backend.reminders.person import persons
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


# Whether a message with these params is still wanted at an instant.
Wishes = Callable[[Mapping[str, str], datetime], bool]


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
    wishes = _wishes(session, row, now=now)
    if way is not None and not wishes(row["params"], way.at):
        way = None
    done = way.channel if way else "nobody"
    execute(session, MARK, message_id=message_id, done=done)
    if way is not None:
        _go(session, row, way, wishes, now=now)
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


def _draft(row: RowMapping, way: Way, along: Sequence[str]) -> Draft:
    params = {
        key: value for key, value in row["params"].items() if key not in NOT_TAKEN_OVER
    }
    why = {key: value for key, value in row["why"].items() if key in KEPT}
    key = row["dedup_key"] + SUFFIX
    if along:
        params["with"] = [key, *along]
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


def _wishes(session: Session, row: RowMapping, *, now: datetime) -> Wishes:
    """Return what tells whether a patient still wants to be reminded of a dose.

    They may have answered the message that failed, or begun a pause after it.
    """
    found = persons(session, [row["patient_id"]], now=now)
    person = found.get(row["patient_id"])

    def still(params: Mapping[str, str], at: datetime) -> bool:
        if "occurrence" not in params:
            return True
        dose = UUID(params["regimen_id"]), params["occurrence"]
        return (
            person is not None
            and dose not in person.skipped
            and not person.paused(at)
            and not any(hold.until > at for hold in person.holds[dose])
        )

    return still


def _go(
    session: Session, row: RowMapping, way: Way, wishes: Wishes, *, now: datetime
) -> None:
    """Queue the message that goes another way, with the doses that the failed one told.

    They wait for it as doses due together do, and go that way themselves if it does
    not come. What was taken meanwhile has no words, then as now.
    """
    told = fetch(
        session,
        TOLD,
        ids=row["why"].get("also_for", []),
        speaker=str(row["message_id"]),
        said=SAID.why["cancelled"],
        at=way.at,
    )
    along = [one for one in told if wishes(one["params"], way.at)]
    draft = _draft(row, way, [one["dedup_key"] for one in along])
    enqueue(session, [draft], now=now)
    execute(
        session,
        TAKE_ALONG,
        ids=[one["message_id"] for one in along],
        together=orjson.dumps(
            {key: draft.params[key] for key in ("with", "listed") if along}
        ).decode(),
        after=str(row["message_id"]),
        channel=way.channel,
        address=way.address,
        later=way.at + BEHIND,
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

TOLD = """
SELECT message_id, dedup_key, params FROM outbox_message
WHERE message_id = ANY(CAST(:ids AS uuid[])) AND valid_until > :at
  AND (state = 'pending' AND attempt = 0 AND params ->> 'behind' = :speaker
       OR state = 'cancelled' AND why ->> 'cancelled' = :said)
ORDER BY message_id FOR UPDATE
"""

TAKE_ALONG = """
UPDATE outbox_message
SET state = 'pending', settled_at = NULL, channel = :channel, address = :address,
    due_at = least(:later, valid_until - interval '1 s'),
    params = params - 'behind' || CAST(:together AS jsonb),
    why = why - 'cancelled' || jsonb_build_object('after', CAST(:after AS text))
WHERE message_id = ANY(CAST(:ids AS uuid[]))
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
