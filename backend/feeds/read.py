"""Read a feed by cursor: monotonic, at least once, as often as one likes."""

from datetime import datetime

from sqlmodel import Session

from backend.audit.record import record
from backend.database.sets import fetch
from backend.errors import NotFound
from backend.feeds.orders import FEED
from backend.people.readers import Reader, only

MOST = 1000


def read(
    session: Session, reader: Reader, feed: str, *, after: int, limit: int
) -> list[dict[str, object]]:
    """Return up to `limit` rows of the reader's feed behind cursor `after`.

    Each is {"cursor", "recorded_at", ...body}. Rows become visible in order of their
    cursor, so a reader that keeps the last one it saw misses nothing. Raises NotFound
    for a feed there is not, Forbidden for anybody but a manufacturer.
    """
    only(reader, "manufacturer")
    if feed != FEED:
        raise NotFound(f"There is no feed of that name; there is {FEED!r}.")
    rows = fetch(
        session,
        """SELECT cursor, recorded_at, body FROM feed_row
        WHERE feed = :feed AND recipient_id = :reader AND cursor > :after
        ORDER BY cursor LIMIT :limit""",
        feed=feed,
        reader=reader.subject_id,
        after=after,
        limit=min(limit, MOST),
    )
    record(
        session,
        reader.actor(),
        "feed_read",
        detail={"feed": feed, "after": after, "rows": len(rows)},
    )
    return [
        {
            "cursor": row["cursor"],
            "recorded_at": _text(row["recorded_at"]),
            **row["body"],
        }
        for row in rows
    ]


def _text(at: datetime) -> str:
    return at.isoformat()
