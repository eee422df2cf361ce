"""What is written to the log, and what never is."""

import json
import logging
import sys
from collections.abc import Generator
from datetime import datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest

from backend import ticker
from backend.__main__ import main
from backend.log import OURS, JsonLines, configure
from backend.ticker import Job
from notifications.channels.log import LogChannel
from notifications.message import Message


@pytest.fixture
def written() -> Generator[StringIO]:
    """What `configure` has written from then on; the test's own log is put back."""
    root, stream = logging.getLogger(), StringIO()
    handlers, level = list(root.handlers), root.level
    configure(stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_an_exception_is_logged_by_kind_and_place_but_not_by_its_words() -> None:
    try:
        raise ValueError("Rosa Keller")
    except ValueError:
        record = logging.getLogger().makeRecord(
            "x", logging.ERROR, "f", 1, "it broke", (), sys.exc_info()
        )
    line = JsonLines().format(record)
    assert "ValueError" in line
    assert "test_log.py" in line
    assert "Rosa" not in line


def test_that_a_message_went_is_logged_and_neither_to_whom_nor_what(
    written: StringIO,
) -> None:
    message = Message(
        uuid4(), "+41790000001", "Your 08:00 dose. Ref X", "X", timedelta(hours=1)
    )

    LogChannel().send(message)

    event = json.loads(written.getvalue())
    assert event["event"] == "message sent"
    assert event["message_id"] == str(message.message_id)
    assert message.to not in written.getvalue()
    assert message.body not in written.getvalue()


def test_what_libraries_tell_at_length_is_not_logged(written: StringIO) -> None:
    for name in ("twilio.http_client", "httpx", "apscheduler.scheduler"):
        logging.getLogger(name).info("Query Params: %s", {"To": "+41790000001"})
    logging.getLogger("apscheduler.scheduler").warning("skipped")

    events = [json.loads(line)["event"] for line in written.getvalue().splitlines()]
    assert events == ["skipped"]


@pytest.mark.usefixtures("db", "written")
def test_a_tick_whose_job_fails_says_so_and_names_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(now: datetime) -> int:
        raise KeyError("Rosa Keller")

    job = Job("failing", timedelta(seconds=1), fail)
    monkeypatch.setattr(ticker, "jobs", lambda: (job,))

    assert main(["tick"]) == 1

    told = capsys.readouterr()
    assert json.loads(told.err)["error"] == "KeyError"
    assert "Rosa" not in told.out + told.err
