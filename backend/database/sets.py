"""Set-wise statements: many rows in one round trip, as one JSON parameter.

A statement names its rows as `rows(<columns with types>)`, for example
`INSERT INTO t SELECT a, b FROM rows(a uuid, b numeric)`; `:name` are parameters.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import RowMapping, TextClause, text
from sqlmodel import Session

ROWS = re.compile(r"\brows\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


def execute(
    session: Session,
    statement: str,
    items: Sequence[Mapping[str, object]] | None = None,
    **parameters: object,
) -> int:
    """Run a statement and return how many rows it touched."""
    result: Any = session.connection().execute(
        prepared(statement), _bound(items, parameters)
    )
    return int(result.rowcount)


def fetch(
    session: Session,
    statement: str,
    items: Sequence[Mapping[str, object]] | None = None,
    **parameters: object,
) -> Sequence[RowMapping]:
    """Run a statement and return its rows, by column name."""
    result = session.connection().execute(
        prepared(statement), _bound(items, parameters)
    )
    return result.mappings().all()


def prepared(statement: str) -> TextClause:
    """Return the statement with `rows(...)` spelled out for PostgreSQL."""
    spelled = ROWS.sub(
        lambda found: (
            f"jsonb_to_recordset(CAST(:items AS jsonb)) AS r({found.group(1)})"
        ),
        statement,
    )
    return text(spelled)


def _bound(
    items: Sequence[Mapping[str, object]] | None, parameters: Mapping[str, object]
) -> dict[str, object]:
    bound = dict(parameters)
    if items is not None:
        bound["items"] = orjson.dumps(list(items), default=_plain).decode()
    return bound


def _plain(value: object) -> str:
    """Octets go as PostgreSQL's hex text, everything else as its words."""
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)
