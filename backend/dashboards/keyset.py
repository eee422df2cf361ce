"""Where a list goes on: the sort key of its last row, as one word of an address."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

from backend.errors import Unprocessable

R = TypeVar("R")
K = TypeVar("K")

MOST = 200
USUAL = 50


class BadCursor(Unprocessable):
    """The address of this page was cut short or changed by hand."""


def page_of(rows: Sequence[R], limit: int) -> tuple[Sequence[R], R | None]:
    """Return the rows to show and the last of them if more follow: read limit + 1."""
    return rows[:limit], rows[limit - 1] if len(rows) > limit else None


def written(*parts: object) -> str:
    """Return the key as text; instants as microseconds, so that none is lost."""
    return "~".join(
        str(round(part.timestamp() * 1_000_000))
        if isinstance(part, datetime)
        else str(part)
        for part in parts
    )


def understood(
    after: str | None, *kinds: Callable[[str], object]
) -> tuple[object, ...] | None:
    """Return the parts of a key, None without one; raises BadCursor."""
    if after is None:
        return None
    parts = after.split("~")
    try:
        return tuple(kind(part) for kind, part in zip(kinds, parts, strict=True))
    except (ValueError, OverflowError):
        raise BadCursor("This list cannot go on from there.") from None


def instant(text: str) -> datetime:
    seconds, micro = divmod(int(text), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micro)


def identity(text: str) -> UUID:
    return UUID(text)


def address(path: str, **query: object) -> str:
    """Return a link; what is empty or None is left out."""
    wanted = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(wanted)}" if wanted else path
