"""What Alembic runs for every command, on the connection it is handed."""

from alembic import context
from sqlalchemy import text
from sqlmodel import SQLModel

from backend.migrations import PARTITIONS, import_tables

connection = context.config.attributes["connection"]
import_tables()
partitions = set(connection.execute(text(PARTITIONS)).scalars())


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out partitions: the versions know their parent, months come and go."""
    return not (kind == "table" and name in partitions)


context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    include_name=include_name,
    compare_server_default=False,
)
with context.begin_transaction():
    context.run_migrations()
