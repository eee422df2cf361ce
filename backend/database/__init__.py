"""Engines and transactions on the one database, PostgreSQL, embedded by default."""

from sqlmodel import SQLModel

from backend.database.connect import (
    addresses,
    engine,
    forget,
    owner_engine,
    queue_engine,
    queue_transaction,
    run,
    transaction,
)
from backend.database.partitions import ensure_partitions

__all__ = [
    "addresses",
    "engine",
    "ensure_partitions",
    "forget",
    "owner_engine",
    "queue_engine",
    "queue_transaction",
    "run",
    "transaction",
]

# Every module of tables imports this package before its first table, so that the names
# in the migrations and those in the models are the same on every machine.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
