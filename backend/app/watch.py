"""A thread of each web process that watches the workers: see `outbox.watch`."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from backend.clock import domain_clock, is_demo, real_now
from backend.database import transaction
from backend.outbox.operators import look, tell_operator
from backend.outbox.watch import EVERY, Notice
from backend.settings import settings
from notifications.channels import log_only, open_channels

log = logging.getLogger(__name__)

NO_DATABASE = "The database does not answer: nothing is stored and nothing is sent."
UNREACHABLE = timedelta(minutes=1)


@contextmanager
def watching(every: timedelta = EVERY) -> Generator[None]:
    """Watch while inside; the first look comes after one interval."""
    stop = Event()
    thread = Thread(target=_watch, args=(stop, every), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watch(stop: Event, every: timedelta) -> None:
    answered, said = real_now(), False
    while not stop.wait(every.total_seconds()):
        try:
            look(_tell, clock=domain_clock(), real=real_now())
        except SQLAlchemyError:
            log.warning("cannot watch: no database")
            if not said and real_now() - answered > UNREACHABLE:
                said = _tell_of_database(NO_DATABASE, answered)
        else:
            if said:
                _tell_of_database(None, real_now())
            answered, said = real_now(), False


def _tell(notice: Notice) -> bool:
    with transaction() as session:
        demo = is_demo(session)
    channels = log_only(settings()) if demo else open_channels(settings())
    return tell_operator(channels, settings(), notice)


def _tell_of_database(wrong: str | None, since: datetime) -> bool:
    notice = Notice("database", wrong, since)
    return tell_operator(open_channels(settings()), settings(), notice)
