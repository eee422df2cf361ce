"""The manufacturer's pages: their orders and their feed. No name, no health data."""

from datetime import date

import orjson
from sqlalchemy import RowMapping

from backend.dashboards.frame import Link
from backend.dashboards.keyset import (
    USUAL,
    address,
    identity,
    instant,
    page_of,
    understood,
    written,
)
from backend.dashboards.move import moves_of
from backend.dashboards.views import (
    Fact,
    FeedEntry,
    FeedPage,
    OrderListPage,
    OrderRow,
)
from backend.dashboards.visible import Sight
from backend.database.sets import fetch
from backend.feeds.orders import FEED

PATH = "/orders"
COLUMNS = """o.reorder_id, o.state, o.packs, o.gtin, o.opened_at, o.changed_at, o.why,
    p.name, c.name AS clinic"""
FILTERS = {
    "": ("Open", "o.state NOT IN ('delivered', 'cancelled')"),
    "new": ("New", "o.state = 'placed'"),
    "done": ("Done", "o.state IN ('delivered', 'cancelled')"),
}
TOTALS = """count(*) FILTER (WHERE o.state = 'placed') AS new, count(*) AS open,
    COALESCE(sum(o.packs), 0) AS packs"""
TOTAL_WORDS = {"new": "To acknowledge", "open": "Open orders", "packs": "Packs in them"}


def order_list(
    sight: Sight, *, show: str = "", after: str | None = None, limit: int = USUAL
) -> OrderListPage:
    """Return the manufacturer's orders, newest first."""
    where = [FILTERS.get(show, FILTERS[""])[1]]
    given: dict[str, object] = {}
    key = understood(after, instant, identity)
    if key is not None:
        where.append("(o.opened_at, o.reorder_id) < (:opened_at, :id)")
        given |= {"opened_at": key[0], "id": key[1]}
    found = sight.orders(
        COLUMNS,
        where,
        order="o.opened_at DESC, o.reorder_id DESC",
        most=limit + 1,
        given=given,
    )
    rows, last = page_of(found, limit)
    onward = last and written(last["opened_at"], last["reorder_id"])
    total = sight.orders(TOTALS, [FILTERS[""][1]])[0]
    return OrderListPage(
        rows=tuple(_order(row) for row in rows),
        filters=tuple(
            Link(label, address(PATH, show=name), name == show)
            for name, (label, _) in FILTERS.items()
        ),
        totals=tuple(Fact(name, str(total[key])) for key, name in TOTAL_WORDS.items()),
        next_href=address(PATH, show=show, after=onward) if onward else None,
    )


def feed_page(
    sight: Sight, *, after: int | None = None, limit: int = USUAL
) -> FeedPage:
    """Return the latest rows of the manufacturer's feed, newest first."""
    found = fetch(
        sight.session,
        """SELECT cursor, feed, recorded_at, body FROM feed_row
        WHERE feed = :feed AND recipient_id = :reader
          AND (CAST(:after AS bigint) IS NULL OR cursor < :after)
        ORDER BY cursor DESC LIMIT :most""",
        feed=FEED,
        reader=sight.reader.subject_id,
        after=after,
        most=limit + 1,
    )
    rows, last = page_of(found, limit)
    return FeedPage(
        rows=tuple(_entry(row) for row in rows),
        endpoint=f"/v1/feeds/{FEED}",
        next_href=address("/feed", after=last["cursor"]) if last else None,
    )


def _order(row: RowMapping) -> OrderRow:
    needed_by = row["why"].get("needed_by")
    return OrderRow(
        reorder_id=row["reorder_id"],
        reference=_reference(row["reorder_id"]),
        product=row["name"],
        gtin=row["gtin"],
        packs=row["packs"],
        state=row["state"],
        opened_at=row["opened_at"],
        changed_at=row["changed_at"],
        deliver_to=row["clinic"],
        needed_by=date.fromisoformat(needed_by) if needed_by else None,
        moves=moves_of("manufacturer", row["state"]),
    )


def _entry(row: RowMapping) -> FeedEntry:
    body = row["body"]
    summary = f"Order {_reference(body['reorder_id'])} {body['state']}"
    if "packs" in body:  # not once the patient has taken back the consent
        packs = "1 pack" if body["packs"] == 1 else f"{body['packs']} packs"
        summary += f": {packs} of {body['product']}"
    return FeedEntry(
        cursor=row["cursor"],
        feed=row["feed"],
        recorded_at=row["recorded_at"],
        summary=summary,
        body=orjson.dumps(body, option=orjson.OPT_INDENT_2).decode(),
    )


def _reference(reorder_id: object) -> str:
    return str(reorder_id)[:8].upper()
