"""A row of a patient in every table that can hold one, made from the schema alone."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import Column, Table, insert, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Session, SQLModel

from backend.migrations import import_tables
from backend.people.tables import Patient
from tests.builders import NOW

MARK = "Zyxwvut"  # in every text that is the patient's: it must not be seen elsewhere


def patient_tables() -> list[Table]:
    """Return every table with a patient_id, parents before children."""
    import_tables()
    return [
        table
        for table in SQLModel.metadata.sorted_tables
        if "patient_id" in table.c and table.name != "patient"
    ]


def fill(session: Session, patient: Patient) -> dict[str, dict[str, Any]]:
    """Add a row of the patient to each table; return what was written, by table."""
    written: dict[str, dict[str, Any]] = {}
    for table in patient_tables():
        values = {
            column.name: _value(session, column, patient)
            for column in table.columns
            if column.identity is None
        }
        session.connection().execute(insert(table).values(**values))
        written[table.name] = values
    return written


def _value(session: Session, column: Column[Any], patient: Patient) -> object:
    if column.name == "patient_id":
        return patient.patient_id
    if column.name == "clinic_id":
        return patient.clinic_id
    for key in column.foreign_keys:
        return session.connection().execute(select(key.column).limit(1)).scalar_one()
    if isinstance(column.type, ARRAY):
        listed = cast("ARRAY[Any]", column.type).item_type
        return [uuid4() if listed.python_type is UUID else 1]
    if isinstance(column.type, JSONB):
        return {"text": MARK}
    if column.type.python_type is str:
        return f"{MARK}-{column.name}"
    if column.type.python_type is UUID:
        return uuid4()
    return VALUES[column.type.python_type]


VALUES: dict[type, object] = {
    int: 1,
    float: 1.0,
    bool: False,
    bytes: MARK.encode(),
    Decimal: Decimal(1),
    datetime: NOW,
    date: NOW.date(),
}
