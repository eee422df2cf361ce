"""The row class and the column kinds that tables are made of: one kind, one spelling.

Each returns a SQLModel field: instants are `timestamptz`, documents `jsonb`, amounts
`numeric` without rounding.
"""

import re
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Double,
    LargeBinary,
    Numeric,
    SmallInteger,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel


class Row(SQLModel):
    """A stored row; its table has the class's name in snake case."""

    @declared_attr.directive
    def __tablename__(cls) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


def instant(**options: Any) -> Any:
    return Field(sa_type=DateTime(timezone=True), **options)  # pyright: ignore[reportArgumentType]


def document(**options: Any) -> Any:
    return Field(sa_type=JSONB, **options)


def amount(**options: Any) -> Any:
    return Field(sa_type=Numeric, **options)


def text(**options: Any) -> Any:
    return Field(sa_type=Text, **options)


def octets(**options: Any) -> Any:
    return Field(sa_type=LargeBinary, **options)


def big(**options: Any) -> Any:
    return Field(sa_type=BigInteger, **options)


def small(**options: Any) -> Any:
    return Field(sa_type=SmallInteger, **options)


def uuids(**options: Any) -> Any:
    return Field(sa_type=ARRAY(UUID), **options)  # pyright: ignore[reportArgumentType]


def doubles(**options: Any) -> Any:
    return Field(sa_type=ARRAY(Double), **options)  # pyright: ignore[reportArgumentType]


def bigs(**options: Any) -> Any:
    return Field(sa_type=ARRAY(BigInteger), **options)  # pyright: ignore[reportArgumentType]
