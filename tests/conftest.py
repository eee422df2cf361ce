"""A real database for every test that asks for one, and nothing else of the world."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from sqlmodel import Session

PROJECT = Path(__file__).parents[1]
GOLDEN = Path(os.environ.get("DOSELOOP_GOLDEN") or PROJECT.parent / "shared/golden")

# A test without the `db` fixture finds no database, and starts none by accident.
for name in [name for name in os.environ if name.startswith("DOSELOOP_")]:
    if name != "DOSELOOP_GOLDEN":
        del os.environ[name]
os.environ["DOSELOOP_DATABASE_URL"] = "postgresql://doseloop_app@/none?host=/nowhere"

from backend import clock, database, live, migrations  # noqa: E402
from backend.database.address import DATABASE, Addresses, embedded_at  # noqa: E402
from backend.database.lock import READY, owner  # noqa: E402
from backend.settings import settings  # noqa: E402

# How long an example takes says more of the machine than of the code.
hypothesis_settings.register_profile("doseloop", deadline=None)
hypothesis_settings.load_profile("doseloop")

# Emptying a table looks through all buffers, so few of them make short work of it.
NOT_DURABLE = (
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off"),
    "shared_buffers=64MB",
)
START_DEADLINE = 60.0


@dataclass(frozen=True)
class Server:
    """The one embedded server of a test run."""

    data_dir: Path
    socket: Path

    def admin(self, name: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket), user="postgres", dbname=name, autocommit=True
        )


@pytest.fixture(scope="session")
def server() -> Generator[Server]:
    """A server for the whole run; it ends with the run, however that ends."""
    data_dir = Path(tempfile.mkdtemp(prefix="doseloop-test-", dir="/tmp"))
    data_dir.chmod(0o711)  # the account that runs the server must get in
    options = [part for option in NOT_DURABLE for part in ("-c", option)]
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", "database", "--until-stdin-ends", *options],
        cwd=PROJECT,
        env={**os.environ, "DOSELOOP_DATA_DIR": str(data_dir)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield Server(data_dir, _socket_when_ready(data_dir, process))
    finally:
        process.communicate()
        shutil.rmtree(data_dir)


@pytest.fixture(scope="session")
def migrated(server: Server) -> Addresses:
    """The addresses of a database with the present schema, made once a run."""
    at = embedded_at(server.socket)
    with pointed_at(at):
        migrations.migrate(
            database.owner_engine(),
            app_role=at.app.username,
            today=clock.real_now().date(),
        )
    return at


@pytest.fixture
def db(server: Server, migrated: Addresses) -> Generator[Addresses]:
    """An empty database with the present schema; `transaction()` leads there.

    Left as it is after the test, emptied before the next: what a test has dirtied is
    truncated in some 15 ms, where a copy of a template took 80.
    """
    with closing(server.admin(DATABASE)) as connection:
        _empty(connection)
    with pointed_at(migrated):
        yield migrated


@pytest.fixture
def session(db: Addresses) -> Generator[Session]:
    """An open transaction on an empty database, committed when the test ends."""
    with database.transaction() as opened:
        yield opened


@pytest.fixture
def new_database(server: Server) -> Generator[Addresses]:
    """A database without any schema; `transaction()` leads there."""
    name = "empty"
    with closing(server.admin()) as connection:
        connection.execute("CREATE DATABASE empty OWNER doseloop_owner")
        with pointed_at(embedded_at(server.socket, database=name)):
            yield embedded_at(server.socket, database=name)
        connection.execute("DROP DATABASE empty WITH (FORCE)")


class pointed_at:  # noqa: N801
    """Settings, engines and clock of this process turned to one database, and back."""

    def __init__(self, at: Addresses) -> None:
        self._set = pytest.MonkeyPatch()
        self._at = at

    def __enter__(self) -> None:
        for name, url in ("DATABASE", self._at.app), ("OWNER", self._at.owner):
            self._set.setenv(f"DOSELOOP_{name}_URL", url.render_as_string())
        self._forget()

    def __exit__(self, *_: object) -> None:
        self._set.undo()
        self._forget()

    @staticmethod
    def _forget() -> None:
        live.stop()  # else its thread keeps a connection to the database before
        database.forget()
        clock.forget_clock()
        settings.cache_clear()


@pytest.fixture
def golden() -> Callable[[str], Path]:
    """A function from a path in the golden folder to the file; skips when absent."""

    def find(path: str) -> Path:
        found = GOLDEN / path
        if not found.exists():
            pytest.skip(f"no golden data: set DOSELOOP_GOLDEN ({path})")
        return found

    return find


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_browser = pytest.mark.skip("no chromium: as root, apt-get install chromium")
    browser = shutil.which("chromium")
    for item in items:
        uses: tuple[str, ...] = getattr(item, "fixturenames", ())
        if "golden" in uses or item.get_closest_marker("golden"):
            item.user_properties.append(("golden", True))
        if item.get_closest_marker("browser") and not browser:
            item.add_marker(no_browser)


GOLDEN_COUNT = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[GOLDEN_COUNT] = {"run": 0, "skipped": 0}
    config.pluginmanager.register(GoldenCount(config.stash[GOLDEN_COUNT]))
    config.pluginmanager.register(FaultCount())


class GoldenCount:
    """Counts tests on golden data; a skipped one fails the run where the data are."""

    def __init__(self, count: dict[str, int]) -> None:
        self._count = count

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if ("golden", True) not in report.user_properties:
            return
        if report.skipped:
            self._count["skipped"] += 1
        elif report.when == "call":
            self._count["run"] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._count["skipped"] and GOLDEN.exists():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        run, skipped = self._count["run"], self._count["skipped"]
        terminalreporter.write_line(f"golden: {run} run, {skipped} skipped")


class FaultCount:
    """Says how many cases of the bridge's fault matrix were played, and its growth."""

    def __init__(self) -> None:
        self._cases = 0
        self._grown: list[object] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            told = dict(report.user_properties)
            self._cases += int(str(told.get("fault cases", 0)))
            self._grown += [told[key] for key in told if key == "bridge grew, MiB"]

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        if self._cases:
            terminalreporter.write_line(f"fault matrix: {self._cases} cases")
        for grown in self._grown:
            terminalreporter.write_line(f"bridge grew by {grown} MiB")


def _socket_when_ready(data_dir: Path, process: subprocess.Popen[bytes]) -> Path:
    until = time.monotonic() + START_DEADLINE
    while time.monotonic() < until and process.poll() is None:
        if (found := owner(data_dir)) and found.state == READY:
            return Path(found.socket)
        time.sleep(0.02)
    process.kill()
    _, errors = process.communicate()
    raise RuntimeError(f"no database for the tests: {errors.decode()}")


def _empty(connection: psycopg.Connection) -> None:
    """Remove every row that earlier tests have left, and whoever still holds on."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    tables = [str(row[0]) for row in connection.execute(TABLES)]
    question = sql.SQL(", ").join(
        sql.SQL("EXISTS (SELECT FROM {})").format(sql.Identifier(table))
        for table in tables
    )
    dirty = connection.execute(sql.SQL("SELECT {}").format(question)).fetchone()
    used = [table for table, some in zip(tables, dirty or (), strict=True) if some]
    if used:
        connection.execute(
            sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(
                sql.SQL(", ").join(map(sql.Identifier, used))
            )
        )
    connection.execute(
        "UPDATE domain_clock_anchor SET anchor_domain = anchor_real, speed = 1, "
        "demo = false WHERE demo"
    )


TABLES = """
SELECT relname FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition
  AND relnamespace = 'public'::regnamespace
  AND relname NOT IN ('alembic_version', 'domain_clock_anchor')
ORDER BY relname
"""
