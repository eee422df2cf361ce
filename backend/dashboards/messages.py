"""The outbox: what was said to whom, when and why."""

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
from backend.dashboards.views import MessageRow, OutboxPage
from backend.dashboards.visible import Sight
from backend.dashboards.words import MESSAGES, because, masked

PATH = "/outbox"
MESSAGE_COLUMNS = """m.message_id, m.patient_id, m.kind, m.channel, m.address, m.due_at,
    m.state, m.body, m.why, m.code, m.settled_at, m.recipient_kind,
    p.given_name || ' ' || p.family_name AS patient,
    (SELECT k.name FROM clinician k WHERE k.clinician_id = m.recipient_id) AS clinician
    """
SENT = "m.state IN ('leased', 'sent', 'delivered', 'failed', 'unknown')"
FILTERS = {
    "": ("Sent", SENT, "DESC"),
    "waiting": ("Waiting", "m.state = 'pending'", "ASC"),
    "withdrawn": ("Not sent", "m.state IN ('cancelled', 'expired')", "DESC"),
}


def outbox(
    sight: Sight,
    *,
    zone: str,
    show: str = "",
    after: str | None = None,
    limit: int = USUAL,
    demo: bool = False,
) -> OutboxPage:
    """Return messages about patients of the reader: the latest, or the next to go."""
    _, condition, way = FILTERS.get(show, FILTERS[""])
    where = ["m.clinic_id = :clinic", condition]
    given: dict[str, object] = {"clinic": sight.reader.clinic_id}
    key = understood(after, instant, identity)
    if key is not None:
        beyond = "<" if way == "DESC" else ">"
        where.append(f"(m.due_at, m.message_id) {beyond} (:due_at, :id)")
        given |= {"due_at": key[0], "id": key[1]}
    found = sight.rows(
        MESSAGE_COLUMNS,
        "outbox_message m JOIN patient p USING (patient_id)",
        where,
        of="m.patient_id",
        order=f"m.due_at {way}, m.message_id {way}",
        most=limit + 1,
        given=given,
    )
    rows, last = page_of(found, limit)
    onward = last and written(last["due_at"], last["message_id"])
    return OutboxPage(
        rows=tuple(message_row(row, zone) for row in rows),
        filters=tuple(
            Link(label, address(PATH, show=name), name == show)
            for name, (label, _, _) in FILTERS.items()
        ),
        demo=demo,
        next_href=address(PATH, show=show, after=onward) if onward else None,
    )


def message_row(row: RowMapping, zone: str) -> MessageRow:
    """Return a message, its address masked; `row` holds MESSAGE_COLUMNS."""
    return MessageRow(
        kind=MESSAGES.get(str(row["kind"]), str(row["kind"])),
        to=row["clinician"] or row["patient"],
        channel=row["channel"],
        address=masked(row["channel"], row["address"]),
        due_at=row["due_at"],
        state=row["state"],
        body=row["body"],
        why=because(row["why"], zone, state=row["state"]),
        code=row["code"],
        settled_at=row["settled_at"],
        patient=row["patient"],
        patient_id=row["patient_id"],
    )
