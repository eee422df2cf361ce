"""What is killed comes back, with everything that was committed."""

import signal
import subprocess

import pytest

from backend.database.cluster import cluster_folder
from backend.database.postmaster import PID_FILE, running
from tests.backend.database.owners import Owned, wait_until

pytestmark = pytest.mark.slow

LASTING = """
import sys
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from backend.database import transaction

for _ in sys.stdin:
    try:
        with transaction() as session:
            connection = session.connection()
            since = connection.execute(text("SELECT pg_postmaster_start_time()"))
            print(since.scalar(), flush=True)
    except OperationalError:
        print("lost", flush=True)
"""


def test_a_killed_server_is_started_again_with_what_was_committed(
    served: Owned,
) -> None:
    served.insert("before")

    killed = served.kill_server()
    wait_until(lambda: _other_than(killed, served), "not started again")
    served.until_ready()

    assert served.notes() == ["before"]


def test_a_server_left_by_a_killed_owner_is_adopted_and_cared_for(
    served: Owned,
) -> None:
    served.insert("before")
    left = served.server().pid
    served.kill_owner()

    second = served.start()
    served.until_ready()
    assert served.server().pid == left
    assert served.notes() == ["before"]

    served.kill_server()
    wait_until(lambda: _other_than(left, served), "not started again")
    served.until_ready()
    assert served.notes() == ["before"]

    said = served.stop()
    assert second.returncode == 0
    assert f"adopting the server left running as process {left}" in said
    assert running(cluster_folder(served.data_dir)) is None


def test_an_adopted_server_is_stopped_with_its_new_owner(served: Owned) -> None:
    served.kill_owner()
    second = served.start()
    served.until_ready()

    second.send_signal(signal.SIGINT)
    second.communicate()

    assert second.returncode == 0
    assert running(cluster_folder(served.data_dir)) is None


def test_when_owner_and_server_are_killed_the_next_owner_recovers(
    served: Owned,
) -> None:
    served.insert("before")
    served.kill_owner()
    pid = served.kill_server()

    # Since then the number belongs to another process of the same account.
    account = cluster_folder(served.data_dir).stat()
    other = subprocess.Popen(
        ["sleep", "60"], user=account.st_uid, group=account.st_gid, extra_groups=[]
    )
    path = cluster_folder(served.data_dir) / PID_FILE
    path.write_text(path.read_text().replace(str(pid), str(other.pid), 1))
    try:
        served.start()
        served.until_ready()
    finally:
        other.kill()
        other.wait()

    assert served.notes() == ["before"]


def test_a_command_that_goes_on_gets_its_database_back(served: Owned) -> None:
    with served.python(LASTING) as command:
        first = ask(command)
        served.kill_owner()
        served.kill_server()

        wait_until(lambda: ask(command) not in {first, "lost"}, "not back")


def test_a_stopped_database_stays_stopped(served: Owned) -> None:
    with served.python(LASTING) as command:
        assert ask(command) != "lost"
        served.stop()

        assert [ask(command) for _ in range(3)] == ["lost"] * 3


def test_of_two_owners_one_serves_and_one_is_refused(served: Owned) -> None:
    served.stop()
    both = served.start(), served.start()
    served.until_ready()
    wait_until(lambda: any(one.poll() is not None for one in both), "both go on")

    (refused,) = [one for one in both if one.poll() is not None]
    assert refused.returncode == 2
    _, said = refused.communicate()
    assert "is already run by process" in said
    served.insert("still served")


def ask(command: subprocess.Popen[str]) -> str:
    """Return since when the server that `command` sees is running, or `lost`."""
    assert command.stdin
    assert command.stdout
    command.stdin.write("look\n")
    command.stdin.flush()
    return command.stdout.readline().strip()


def _other_than(pid: int, owned: Owned) -> bool:
    found = running(cluster_folder(owned.data_dir))
    return found is not None and found.pid != pid
