"""What doses take from stock.

A device that measured an amount is believed; an opening that matched a scheduled dose
takes that dose's amount, marked estimated. Labels may change when more arrives: then
the difference is entered as a correction, so that the sum is always what is believed
now and every step of it stays readable.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.supply.units import convert

Holding = tuple[UUID, str]  # patient and GTIN


@dataclass(frozen=True, slots=True)
class Settled:
    """The stocks that changed, and those with a use in a unit nobody can convert."""

    changed: frozenset[Holding] = frozenset()
    inconvertible: frozenset[Holding] = frozenset()


def settle(
    session: Session, events: Collection[tuple[UUID, UUID]], *, now: datetime
) -> Settled:
    """Enter what these (patient, dose event) use beyond what is entered already.

    An amount nobody knows, or in a unit that is no multiple of the product's, is not
    counted as zero: the holding is returned as inconvertible, for somebody to look at.
    """
    if not events:
        return Settled()
    uses = [(row, _amount(row)) for row in _wanted(session, events)]
    news = [
        (row, amount)
        for row, amount in uses
        if amount is not None and amount != row["entered"]
    ]
    entries = [
        {
            "patient_id": row["patient_id"],
            "entry_id": uuid4(),
            "gtin": row["gtin"],
            "kind": "corrected" if row["entries"] else "used",
            "cause": f"{row['dose_event_id']}/{row['entries']}",
            "dose_event_id": row["dose_event_id"],
            "amount": row["entered"] - amount,
            "estimated": row["measured"] is None,
            "occurred_at": row["occurred_at"],
        }
        for row, amount in news
    ]
    changed = frozenset((row["patient_id"], row["gtin"]) for row, _ in news)
    if entries:
        execute(
            session,
            """INSERT INTO stock_entry (patient_id, entry_id, gtin, kind, cause,
                dose_event_id, amount, estimated, occurred_at, recorded_at)
            SELECT patient_id, entry_id, gtin, kind, cause, dose_event_id, amount,
                estimated, occurred_at, :now
            FROM rows(patient_id uuid, entry_id uuid, gtin text, kind text, cause text,
                dose_event_id uuid, amount numeric, estimated bool,
                occurred_at timestamptz)""",
            entries,
            now=now,
        )
        recount(session, changed, now=now)
    unclear = (row for row, amount in uses if amount is None)
    return Settled(changed, frozenset((r["patient_id"], r["gtin"]) for r in unclear))


def holdings(
    session: Session, regimens: Collection[tuple[UUID, UUID]]
) -> frozenset[Holding]:
    """Return the stocks from which these (patient, regimen) take."""
    if not regimens:
        return frozenset()
    rows = fetch(
        session,
        """SELECT DISTINCT patient_id, gtin
        FROM rows(patient_id uuid, regimen_id uuid)
        JOIN regimen g USING (patient_id, regimen_id)
        JOIN stock s USING (patient_id, gtin)""",
        [{"patient_id": p, "regimen_id": r} for p, r in regimens],
    )
    return frozenset((row["patient_id"], row["gtin"]) for row in rows)


def recount(
    session: Session, holdings: Collection[tuple[object, object]], *, now: datetime
) -> None:
    """Set what is on hand to the sum of its entries since counting began."""
    execute(
        session,
        """UPDATE stock s SET on_hand = t.on_hand, estimated = t.estimated,
            updated_at = :now
        FROM (SELECT s.patient_id, s.gtin, sum(e.amount) AS on_hand,
                bool_or(e.estimated) AS estimated
            FROM rows(patient_id uuid, gtin text)
            JOIN stock s USING (patient_id, gtin)
            JOIN stock_entry e ON e.patient_id = s.patient_id AND e.gtin = s.gtin
                AND e.occurred_at >= s.since
            GROUP BY s.patient_id, s.gtin) t
        WHERE s.patient_id = t.patient_id AND s.gtin = t.gtin""",
        [{"patient_id": patient_id, "gtin": gtin} for patient_id, gtin in holdings],
        now=now,
    )


def dispense(
    session: Session,
    patient_id: UUID,
    gtin: str,
    amount: Decimal,
    *,
    cause: str,
    at: datetime,
    now: datetime,
) -> None:
    """Enter what a patient was given, in the product's unit; the same cause once."""
    execute(
        session,
        """INSERT INTO stock_entry (patient_id, entry_id, gtin, kind, cause, amount,
            estimated, occurred_at, recorded_at)
        VALUES (:patient, :entry, :gtin, 'dispensed', :cause, :amount, false, :at, :now)
        ON CONFLICT DO NOTHING""",
        patient=patient_id,
        entry=uuid4(),
        gtin=gtin,
        cause=cause,
        amount=amount,
        at=at,
        now=now,
    )
    execute(
        session,
        """INSERT INTO stock (patient_id, gtin, since, on_hand, estimated, updated_at)
        VALUES (:patient, :gtin, :at, 0, false, :now)
        ON CONFLICT (patient_id, gtin) DO UPDATE
        SET since = LEAST(stock.since, excluded.since)""",
        patient=patient_id,
        gtin=gtin,
        at=at,
        now=now,
    )
    recount(session, {(patient_id, gtin)}, now=now)


def _wanted(
    session: Session, events: Collection[tuple[UUID, UUID]]
) -> list[RowMapping]:
    """What each event measured or is assumed to use, and what is entered of it."""
    rows = fetch(
        session,
        """SELECT e.patient_id, e.dose_event_id, g.gtin, e.occurred_at, p.unit AS of,
            e.voided_at IS NOT NULL AS voided,
            CASE WHEN e.evidence = 'dose_delivered' THEN e.amount END AS measured,
            e.unit AS measured_in, d.occurrence IS NOT NULL AS matched,
            d.amount AS assumed, d.unit AS assumed_in,
            COALESCE(-t.sum, 0) AS entered, COALESCE(t.entries, 0) AS entries
        FROM rows(patient_id uuid, dose_event_id uuid)
        JOIN dose_event e USING (patient_id, dose_event_id)
        JOIN regimen g ON g.patient_id = e.patient_id
            AND g.regimen_id = e.regimen_id AND g.gtin IS NOT NULL
        JOIN product p ON p.gtin = g.gtin
        LEFT JOIN scheduled_dose d ON d.patient_id = e.patient_id
            AND d.regimen_id = e.regimen_id AND d.dose_event_id = e.dose_event_id
            AND d.dose_day BETWEEN CAST(e.occurred_at AS date) - 8
                               AND CAST(e.occurred_at AS date) + 8
        LEFT JOIN LATERAL (SELECT sum(amount) AS sum, count(*) AS entries
            FROM stock_entry s WHERE s.patient_id = e.patient_id
              AND s.dose_event_id = e.dose_event_id) t ON true""",
        [{"patient_id": p, "dose_event_id": e} for p, e in events],
    )
    return list(rows)


def _amount(row: RowMapping) -> Decimal | None:
    """What the event used, in the product's unit; None where nobody can say."""
    if row["voided"]:
        return Decimal(0)
    if row["measured"] is not None:
        return convert(row["measured"], row["measured_in"], row["of"])
    if not row["matched"]:
        return Decimal(0)
    if row["assumed"] is None:
        return None
    return convert(row["assumed"], row["assumed_in"], row["of"])
