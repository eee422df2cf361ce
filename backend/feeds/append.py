"""Write to a feed, and name a patient to its recipient without saying who it is."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from secrets import token_bytes
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.live import touch


def append(
    session: Session,
    feed: str,
    recipient_id: UUID,
    dedup_key: str,
    body: Mapping[str, object],
    *,
    now: datetime,
) -> bool:
    """Add a row to the end of a feed; False when that key is in it already.

    Locks the feed's head until commit, so that cursors become visible in order: call
    it last in a transaction.
    """
    head = lock_head(session, feed)
    added = execute(
        session,
        """INSERT INTO feed_row
            (feed, cursor, recipient_id, dedup_key, body, recorded_at)
        SELECT :feed, :cursor, :recipient, :key, body, :now FROM rows(body jsonb)
        ON CONFLICT (feed, dedup_key) DO NOTHING""",
        [{"body": body}],
        feed=feed,
        cursor=head + 1,
        recipient=recipient_id,
        key=dedup_key,
        now=now,
    )
    execute(
        session,
        "UPDATE feed_head SET cursor = cursor + :added WHERE feed = :feed",
        feed=feed,
        added=added,
    )
    touch(session, {recipient_id: ()})
    return added > 0


def lock_head(session: Session, feed: str) -> int:
    """Hold the end of a feed until commit and return its last cursor."""
    execute(
        session,
        "INSERT INTO feed_head (feed, cursor) VALUES (:feed, 0) ON CONFLICT DO NOTHING",
        feed=feed,
    )
    head = fetch(
        session,
        "SELECT cursor FROM feed_head WHERE feed = :feed FOR UPDATE",
        feed=feed,
    )
    return int(head[0]["cursor"])


def pseudonym(
    session: Session, patient_id: UUID, recipient_id: UUID, *, now: datetime
) -> str:
    """Return the name of a patient that means something to this recipient only.

    HMAC-SHA-256 over the patient's id with a secret a recipient, 128 bits of it.
    """
    execute(
        session,
        """INSERT INTO feed_key (recipient_id, key, recorded_at)
        VALUES (:recipient, :key, :now) ON CONFLICT DO NOTHING""",
        recipient=recipient_id,
        key=token_bytes(32),
        now=now,
    )
    key = fetch(
        session,
        "SELECT key FROM feed_key WHERE recipient_id = :recipient",
        recipient=recipient_id,
    )[0]["key"]
    return hmac.digest(bytes(key), patient_id.bytes, sha256)[:16].hex()
