"""What `python -m backend demo` refuses, and how."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from backend.database import owner_engine
from backend.database.address import Addresses
from backend.demo.claim import NotADemoDatabase, refuse_real_clinics

PROJECT = Path(__file__).parents[3]


def a_demo(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run a demo that is expected to be refused."""
    return subprocess.run(
        [sys.executable, "-m", "backend", "demo"],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def execute(*statements: str) -> None:
    with owner_engine().begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def look() -> None:
    with owner_engine().connect() as connection:
        refuse_real_clinics(connection)


def tables(connection: Connection) -> list[str]:
    return sorted(inspect(connection).get_table_names())


A_CLINIC = "CREATE TABLE clinic AS SELECT 'Seefeld' AS name"
A_CLOCK = "CREATE TABLE domain_clock_anchor AS SELECT {} AS demo"


def test_a_database_with_real_clinics_is_refused_as_it_is(
    new_database: Addresses, tmp_path: Path
) -> None:
    execute(A_CLINIC)  # as some other version of ours has left it

    refused = a_demo(DOSELOOP_DATA_DIR=str(tmp_path))

    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "no demo's" in refused.stderr
    with owner_engine().connect() as connection:
        assert tables(connection) == ["clinic"]


def test_clinics_whose_clock_knows_no_demo_are_real(new_database: Addresses) -> None:
    execute(A_CLINIC, "CREATE TABLE domain_clock_anchor AS SELECT 1.0 AS speed")

    with pytest.raises(NotADemoDatabase):
        look()


def test_clinics_of_a_database_that_is_no_demo_are_real(
    new_database: Addresses,
) -> None:
    execute(A_CLINIC, A_CLOCK.format("false"))

    with pytest.raises(NotADemoDatabase):
        look()


@pytest.mark.parametrize(
    "statements",
    [
        [],
        ["CREATE TABLE clinic (name text)", A_CLOCK.format("false")],
        [A_CLINIC, A_CLOCK.format("true")],
    ],
    ids=["nothing", "no clinic", "a demo"],
)
def test_an_empty_database_and_a_demos_are_fine(
    new_database: Addresses, statements: list[str]
) -> None:
    execute(*statements)

    look()
