"""The one way in which pages read patient data: the reader stands in every WHERE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    TextClause,
    Uuid,
    literal_column,
    select,
    text,
)
from sqlalchemy.orm import Mapped
from sqlmodel import Session

from backend.people.readers import Reader, may_see

# A manufacturer sees an order while the patient's consent to supply by them stands,
# and never one that was merely proposed, also when it was cancelled.
ORDERS = """reorder o JOIN product p USING (gtin)
    JOIN clinic c ON c.clinic_id = o.clinic_id"""
THEIRS = """p.manufacturer_id = :reader AND o.state <> 'proposed'
    AND (o.state <> 'cancelled' OR EXISTS (SELECT FROM reorder_event e
        WHERE e.patient_id = o.patient_id AND e.reorder_id = o.reorder_id
          AND e.state = 'placed'))
    AND EXISTS (SELECT FROM consent s WHERE s.patient_id = o.patient_id
        AND s.purpose = 'supply' AND s.recipient_id = p.manufacturer_id
        AND s.since <= :now AND (s.until IS NULL OR s.until > :now))"""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one reader sees at one moment.

    In every query `:now` is that moment and `:reader` whom the account speaks for.
    """

    session: Session
    reader: Reader
    now: datetime

    def rows(
        self,
        columns: str,
        tables: str,
        where: Sequence[str] = (),
        *,
        of: str,
        group: str = "",
        order: str = "",
        most: int | None = None,
        given: Mapping[str, object] | None = None,
    ) -> Sequence[RowMapping]:
        """Return rows of the patients this reader may see; `of` names the column."""
        patient_id: Mapped[UUID] = literal_column(of, Uuid())  # pyright: ignore[reportAssignmentType]
        seen = may_see(self.reader, patient_id, now=self.now)
        return self._select(columns, tables, seen, where, group, order, most, given)

    def row(
        self,
        columns: str,
        tables: str,
        where: Sequence[str],
        *,
        of: str,
        given: Mapping[str, object] | None = None,
    ) -> RowMapping | None:
        """Return the one row, None when there is none or it is not theirs to see."""
        found = self.rows(columns, tables, where, of=of, most=1, given=given)
        return found[0] if found else None

    def orders(
        self,
        columns: str,
        where: Sequence[str] = (),
        *,
        order: str = "",
        most: int | None = None,
        given: Mapping[str, object] | None = None,
    ) -> Sequence[RowMapping]:
        """Return rows of ORDERS that a manufacturer may see; none for anybody else."""
        theirs = text(f"({THEIRS})" if self.reader.role == "manufacturer" else "false")
        return self._select(columns, ORDERS, theirs, where, "", order, most, given)

    def _select(
        self,
        columns: str,
        tables: str,
        seen: ColumnElement[bool] | TextClause,
        where: Sequence[str],
        group: str,
        order: str,
        most: int | None,
        given: Mapping[str, object] | None,
    ) -> Sequence[RowMapping]:
        statement = (
            select(text(columns))
            .select_from(text(tables))
            .where(seen, *(text(f"({one})") for one in where))
        )
        if group:
            statement = statement.group_by(text(group))
        if order:
            statement = statement.order_by(text(order))
        if most is not None:
            statement = statement.limit(most)
        bound = {"now": self.now, "reader": self.reader.subject_id, **(given or {})}
        return self.session.connection().execute(statement, bound).mappings().all()
