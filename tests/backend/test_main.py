"""The command line: help that helps, refusals in one line, exit codes."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from backend.__main__ import COMMANDS, main
from backend.database import forget
from backend.database.address import Addresses
from backend.settings import Settings, settings

PROJECT = Path(__file__).parents[2]


def test_help_names_every_command_with_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])

    told = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert re.search(rf"^    {name}\b", told, flags=re.MULTILINE)
        assert (command.run.__doc__ or "").splitlines()[0][:30] in " ".join(
            told.split()
        )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_tells_what_it_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])

    assert len(capsys.readouterr().out.splitlines()) > 4


def test_help_loads_neither_web_server_nor_database() -> None:
    code = (
        "import sys; from backend.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('fastapi', 'sqlalchemy', 'psycopg') if m in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert told.splitlines()[-1] == "[]"


def test_a_refusal_is_one_line_and_exit_code_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["database", "-c", "no equals sign"]) == 2

    told = capsys.readouterr().err
    assert told == "database: -c needs NAME=VALUE, got 'no equals sign'\n"


def test_an_installation_that_is_fit_is_told_so(
    db: Addresses, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0

    told = capsys.readouterr().out
    assert "BAD" not in told
    for name in "PostgreSQL", "role", "schema", "clocks", "domain clock", "partitions":
        assert f"ok   {name}: " in told


def test_a_database_without_schema_is_found_wanting(
    new_database: Addresses, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 1

    assert "BAD  schema: at None, needs" in capsys.readouterr().out


def test_no_connection_is_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 2

    assert capsys.readouterr().err.startswith("doctor: the database: ")


@pytest.fixture
def set_to(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., None]]:
    """A function that sets variables of the environment for this test."""

    def set_variables(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        forget_settings()

    yield set_variables
    monkeypatch.undo()
    forget_settings()


def forget_settings() -> None:
    settings.cache_clear()
    forget()


@pytest.mark.parametrize(
    "url",
    [
        "secret",
        "postgresql://app:secret@host:port/doseloop",
        "postgresql://[::secret/doseloop",
        "postgresql://app:secret@host/doseloop?colour=secret",
        "mysql://app:secret@host/doseloop",
        "sqlite:///secret",
    ],
)
@pytest.mark.parametrize("command", ["doctor", "migrate", "tick"])
def test_what_is_no_address_of_a_postgresql_is_refused_and_not_quoted(
    url: str,
    command: str,
    set_to: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_to(DOSELOOP_DATABASE_URL=url)

    assert main([command]) == 2

    told = capsys.readouterr().err
    assert told.startswith(f"{command}: DOSELOOP_DATABASE_URL: ")
    assert told.count("\n") == 1
    assert "secret" not in told


def test_the_owners_address_is_refused_by_its_own_name(
    set_to: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    set_to(DOSELOOP_OWNER_URL="owner")

    assert main(["migrate"]) == 2

    assert capsys.readouterr().err.startswith("migrate: DOSELOOP_OWNER_URL: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor"],
        ["migrate"],
        ["demo"],
        ["database"],
        ["database", "status"],
        ["database", "stop"],
        ["database", "upgrade"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("below", ["", "/data"], ids=["a file", "below a file"])
def test_a_data_folder_that_cannot_be_is_refused(
    arguments: list[str], below: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    place = f"{tmp_path}/file{below}"

    refused = in_a_shell(*arguments, DOSELOOP_DATABASE_URL="", DOSELOOP_DATA_DIR=place)

    assert refused.returncode == 2
    assert place in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_where_nothing_was_kept_there_is_nothing_to_upgrade(tmp_path: Path) -> None:
    place = tmp_path / "none"

    refused = in_a_shell(
        "database", "upgrade", DOSELOOP_DATABASE_URL="", DOSELOOP_DATA_DIR=str(place)
    )

    assert refused.returncode == 2
    assert refused.stderr == f"database: There are no data in {place}.\n"
    assert not place.exists()


def in_a_shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_migrate_can_be_repeated(
    new_database: Addresses, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate"]) == main(["migrate"]) == 0

    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_a_wrong_setting_is_refused_by_name_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.cache_clear()
    monkeypatch.setenv("DOSELOOP_THREADS", "many secrets")

    assert main(["database", "status"]) == 2

    told = capsys.readouterr().err
    assert told.startswith("database: DOSELOOP_THREADS: ")
    assert "secret" not in told


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELOOP_DELIVER_EVERY", "2.5")
    monkeypatch.setenv("DOSELOOP_TWILIO_TOKEN", "very secret")
    monkeypatch.setenv("DOSELOOP_PUBLIC_URL", "https://loop.example/")

    monkeypatch.setenv("DOSELOOP_DATABASE_URL", "")

    known = Settings()

    assert known.database_url is None
    assert known.deliver_every.total_seconds() == 2.5
    assert "very secret" not in repr(known)
    assert known.address == "https://loop.example"


def test_a_database_without_the_schema_is_refused_not_changed(
    new_database: Addresses, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tick"]) == 2

    told = capsys.readouterr().err
    assert "revision none" in told
    assert "python -m backend migrate" in told
    assert told.count("\n") == 1
