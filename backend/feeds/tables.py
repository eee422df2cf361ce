"""What manufacturers receive: rows of a feed in commit order."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from backend.database.columns import Row, big, document, instant, octets, text


class FeedHead(Row, table=True):
    """The last cursor given out in a feed.

    Whoever appends locks this row until commit, so that cursors become visible in
    order and a reader can never pass one that is still to come.
    """

    feed: str = text(primary_key=True)
    cursor: int = big(default=0)


class FeedRow(Row, table=True):
    """One row of a feed, for one recipient. No health data, no name.

    `people.erase` takes the pseudonym out of the rows of a person who is erased.
    """

    feed: str = text(primary_key=True)
    cursor: int = big(primary_key=True)
    recipient_id: UUID = Field(index=True)
    dedup_key: str = text()
    body: dict[str, object] = document()
    recorded_at: datetime = instant()

    __table_args__ = (UniqueConstraint("feed", "dedup_key"),)


class FeedKey(Row, table=True):
    """The secret with which patients are named to one recipient, and to no other."""

    recipient_id: UUID = Field(primary_key=True)
    key: bytes = octets()
    recorded_at: datetime = instant()
