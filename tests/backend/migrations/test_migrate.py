"""From nothing to the present schema, and no further."""

from datetime import date

import pytest
from sqlalchemy import DateTime, inspect, text
from sqlmodel import SQLModel

from backend import migrations
from backend.database import engine, owner_engine
from backend.database.address import APP_ROLE, Addresses

TODAY = date(2026, 3, 2)


def test_the_models_and_the_migrated_schema_are_the_same(db: Addresses) -> None:
    migrations.check(owner_engine())


def test_an_empty_database_is_brought_up_to_date_once(new_database: Addresses) -> None:
    first = migrations.migrate(owner_engine(), app_role=APP_ROLE, today=TODAY)
    again = migrations.migrate(owner_engine(), app_role=APP_ROLE, today=TODAY)

    assert first == again == migrations.newest()
    migrations.check(owner_engine())
    with engine().connect() as connection:
        names = inspect(connection).get_table_names()
        writable = connection.execute(
            text("SELECT has_table_privilege('alembic_version', 'INSERT')")
        ).scalar()
    assert {"clinic", "vital_segment_2026_06"} <= set(names)
    assert not writable


def test_a_migration_that_fails_changes_nothing(new_database: Addresses) -> None:
    with pytest.raises(Exception, match="no_such_role"):
        migrations.migrate(owner_engine(), app_role="no_such_role", today=TODAY)

    with owner_engine().connect() as connection:
        assert inspect(connection).get_table_names() == []


def test_one_role_for_all_is_enough_on_a_small_server(new_database: Addresses) -> None:
    owner = new_database.owner.username

    assert migrations.migrate(owner_engine(), app_role=owner, today=TODAY)


def test_every_instant_is_kept_with_its_zone() -> None:
    migrations.import_tables()
    naive = [
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, DateTime) and not column.type.timezone
    ]

    assert naive == []
