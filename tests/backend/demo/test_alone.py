"""One demo a folder, and patience with a database that recovers."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from backend.database.lock import held
from backend.demo.alone import alone
from backend.demo.patience import ToldToEnd, until_ready
from backend.demo.processes import Child, DatabaseChild
from backend.errors import Conflict
from tests.backend.demo.test_run import a_demo


class Running(Child):
    """A process that lives for as long as the test."""

    def alive(self) -> bool:
        return True


def every_ten_seconds() -> Callable[[], float]:
    """A clock that is ten seconds later at each look."""
    return count(0.0, 10.0).__next__


def after(looks: int) -> Callable[[], bool]:
    left = iter([False] * looks + [True])
    return left.__next__


def test_a_second_demo_on_one_folder_is_told_where_the_first_runs(
    tmp_path: Path,
) -> None:
    (tmp_path / "demo").mkdir()
    with alone(tmp_path / "demo") as tell:
        tell("http://127.0.0.1:8123")

        refused = a_demo(DOSELOOP_DATA_DIR=str(tmp_path))

    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "http://127.0.0.1:8123" in refused.stderr


def test_a_folder_is_free_again_when_its_demo_has_ended(tmp_path: Path) -> None:
    for _ in range(2):
        with alone(tmp_path) as tell:
            tell("http://127.0.0.1:8123")


def test_a_database_is_waited_for_as_long_as_its_owner_lives(tmp_path: Path) -> None:
    child = DatabaseChild("database", {}, tmp_path / "log", tmp_path)
    said: list[str] = []
    with held(tmp_path) as lock:
        lock.tell("redo in progress")

        until_ready(
            child, after(90), Event(), said.append, clock=every_ten_seconds(), look=0
        )

    assert len(said) > 80
    assert said[0] == "database: waiting, 10 s: redo in progress"


def test_a_database_whose_owner_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    child = DatabaseChild("database", {}, tmp_path / "log", tmp_path)
    child.log.write_text("no room on the disk\n")

    with pytest.raises(Conflict, match="no room on the disk"):
        until_ready(child, after(1), Event(), pytest.fail)


def test_another_process_that_is_not_ready_in_a_minute_is_given_up(
    tmp_path: Path,
) -> None:
    web = Running("web", "backend", ("serve",), {}, tmp_path / "log")

    with pytest.raises(Conflict, match="web did not start"):
        until_ready(
            web,
            lambda: False,
            Event(),
            lambda _line: None,
            clock=every_ten_seconds(),
            look=0,
        )


def test_a_wait_ends_when_the_demo_does(tmp_path: Path) -> None:
    web = Running("web", "backend", ("serve",), {}, tmp_path / "log")
    stopping = Event()
    stopping.set()

    with pytest.raises(ToldToEnd):
        until_ready(web, lambda: False, stopping, pytest.fail)
