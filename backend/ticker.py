"""Which job runs how often. APScheduler only ticks: what is due stands in rows.

A job is `def job(now: datetime) -> int`: it does one batch of what is due and returns
how much that was. Workers may be many and may be killed at any moment.
"""

import ctypes
import gc
import logging
import signal
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from threading import Event
from typing import Protocol
from uuid import UUID

import httpx
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from backend.audit.seal import seal
from backend.clock import domain_clock, domain_now, is_demo, real_now
from backend.database import transaction
from backend.database.partitions import ensure_partitions
from backend.inbound.failover import fail_over
from backend.inbound.notice import word_notices
from backend.inbound.strangers import forget
from backend.ingest.elapse import elapse
from backend.ingest.extend import extend
from backend.ingest.replace import propose_replacements
from backend.ingest.screen import screen_due, screen_silent, wake_alerts
from backend.ingest.word import word
from backend.ingest.worklist import Worklist
from backend.log import configure
from backend.outbox.beat import beats, begin, end
from backend.outbox.claim import due_channels, next_due
from backend.outbox.deliver import deliver
from backend.outbox.lanes import Lanes
from backend.outbox.message import Claimed, Verdict
from backend.outbox.recent import Recent
from backend.outbox.recent import forget as forget_sends
from backend.outbox.reconcile import reconcile, report
from backend.outbox.watch import troubles
from backend.people.sweep import sweep
from backend.reminders.adapt import adapt
from backend.reminders.ladder import WORKLIST
from backend.settings import settings
from backend.state.renew import renew
from backend.vitals.compact import compact, forget_keys
from notifications.channels import log_only, open_channels
from notifications.message import Channel

log = logging.getLogger(__name__)

# What runs less often than this runs in one worker, whoever comes first; what runs
# more often runs in each, and says so once in a while.
SHARED = timedelta(minutes=1)
SIGN_OF_LIFE = timedelta(seconds=10)
HEARTBEAT_TIMEOUT = 10.0  # seconds
HEARTBEAT_EVERY = timedelta(seconds=30)
EXTEND_EVERY = timedelta(seconds=30)  # a demo's day may last minutes
RENEW_EVERY = timedelta(minutes=5)  # figures are as old as that after a day's end
BATTERIES_EVERY = timedelta(hours=6)
COMPACT_EVERY = timedelta(minutes=5)
PARTITIONS_AHEAD = timedelta(days=62)
AT_ONCE = timedelta(milliseconds=20)  # between two looks for channels that are due
M_ARENA_MAX = -8  # of malloc.h
MOST_ROUNDS = 10_000  # a job that is never done must not starve a tick


@dataclass(frozen=True, slots=True)
class Job:
    """A function that does one batch of what is due; `every` is real time.

    A `steady` job begins that often for as long as a worker lives.
    """

    name: str
    every: timedelta
    run: Callable[[datetime], int]
    steady: bool = True


class Scheduler(Protocol):
    """What we use of APScheduler, which ships no types."""

    def add_job(
        self,
        func: Callable[..., object],
        trigger: str,
        *,
        args: tuple[object, ...],
        name: str,
        next_run_time: datetime,
        seconds: float,
    ) -> object: ...
    def start(self) -> None: ...
    def shutdown(self, *, wait: bool) -> None: ...


def jobs(stopping: Callable[[], bool] = lambda: False) -> tuple[Job, ...]:
    """Return every job; `work` has the first one's channels send side by side."""
    return (
        Job("deliver", settings().deliver_every, partial(_deliver, stopping)),
        Job("fail over", settings().deliver_every, _fail_over),
        Job("elapse", settings().deliver_every, elapse),
        Job("extend", EXTEND_EVERY, extend),
        Job("renew", RENEW_EVERY, partial(renew, stopping)),
        Job("screen", settings().screen_every, screen_due),
        Job("silence", SHARED, screen_silent),
        Job("wake", SHARED, wake_alerts),
        Job("adapt", timedelta(days=1), adapt),
        Job("replace", BATTERIES_EVERY, propose_replacements),
        Job("reconcile", timedelta(seconds=5), _reconcile),
        Job("seal", settings().seal_every, _seal),
        Job("compact", COMPACT_EVERY, compact),
        Job("forget keys", timedelta(days=1), forget_keys),
        Job("forget strangers", timedelta(days=1), _forget_strangers),
        Job("sweep", timedelta(hours=1), _sweep),
        Job("sign of life", HEARTBEAT_EVERY, _sign_of_life),
        Job("partitions", timedelta(hours=1), _partitions),
        Job("report", timedelta(days=1), _report),
    )


def channels() -> dict[str, Channel]:
    """Return what messages go by: in a demo the log alone, whatever is set up.

    The clinicians' worklist is our own and always there.

    The database says whether it is a demo's, each time: a worker may be older than
    that, and its surroundings may be those of a real clinic.
    """
    with transaction() as session:
        demo = is_demo(session)
    given = log_only(settings()) if demo else operators_channels()
    return {**given, WORKLIST: Worklist()}


@cache
def operators_channels() -> dict[str, Channel]:
    return open_channels(settings())


def tick() -> list[tuple[str, int, str | None]]:
    """Do what is due in every job once; return name, how much, and the error if any."""
    return [(job.name, *_drained(job, lambda: False)) for job in jobs()]


def _share_heaps() -> None:
    """Let all threads share two heaps, where the C library can be told (glibc).

    By default each thread keeps a heap as large as the costliest job it ever ran: a
    worker that reads a month of heart rate grew to 370 MB in 40 minutes, not to 215.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(M_ARENA_MAX, 2)


def work() -> None:
    """Run every job for as long as the process lives; SIGTERM ends it cleanly."""
    configure()
    _share_heaps()
    stop = Event()
    for ending in signal.SIGTERM, signal.SIGINT:
        signal.signal(ending, lambda _number, _frame: stop.set())
    delivery, *others = jobs(stop.is_set)
    recents: defaultdict[str, Recent] = defaultdict(Recent)
    lanes = Lanes(partial(_send_by, recents, stop.is_set))
    delivery = replace(delivery, run=partial(_start, lanes))
    scheduler = _scheduler(threads=len(others))
    _schedule(scheduler, others, stop.is_set)
    scheduler.start()
    # What is loaded by now stays: collecting garbage need not look at it again, which
    # is a fifth of a worker's time when much is due.
    gc.freeze()
    log.info("working", extra={"jobs": len(others) + 1})
    try:
        while not stop.is_set():
            run(delivery, stop.is_set)
            stop.wait(_until_next_due(delivery.every))
    finally:
        lanes.close()
        scheduler.shutdown(wait=True)
    log.info("stopped")


def run(job: Job, stopping: Callable[[], bool]) -> None:
    """Do what is due in one job, unless it is one worker's and another has begun it."""
    try:
        first_in_a_while = _begin(job)
    except SQLAlchemyError:
        log.exception("no database", extra={"job": job.name})
        return
    if first_in_a_while or job.every < SHARED:
        done, error = _drained(job, stopping)
        if first_in_a_while or error:
            _end(job, done, error)


def _drained(job: Job, stopping: Callable[[], bool]) -> tuple[int, str | None]:
    """Return how much a job did until nothing was due, and the error that ended it."""
    done = 0
    try:
        for _ in range(MOST_ROUNDS):
            one_batch = job.run(domain_now())
            done += one_batch
            if not one_batch or stopping():
                break
    except Exception as error:
        # Here a job's failure ends: the others go on, and the next tick tries again.
        log.exception("job failed", extra={"job": job.name})
        return done, type(error).__name__
    return done, None


def _begin(job: Job) -> bool:
    every = job.every if job.every >= SHARED else SIGN_OF_LIFE
    with transaction() as session:
        return begin(session, job.name, every=every, real=real_now(), steady=job.steady)


def _end(job: Job, done: int, error: str | None) -> None:
    try:
        with transaction() as session:
            end(session, job.name, done=done, error=error, real=real_now())
    except SQLAlchemyError:
        log.exception("no database", extra={"job": job.name})


def _until_next_due(longest: timedelta) -> float:
    """Return for how many real seconds nothing will be due, at most `longest`."""
    try:
        clock, real = domain_clock(), real_now()
        due_at = next_due(now=clock.at(real))
    except SQLAlchemyError:
        return longest.total_seconds()
    if due_at is None:
        return longest.total_seconds()
    return min(max(clock.real_at(due_at) - real, AT_ONCE), longest).total_seconds()


def _schedule(
    scheduler: Scheduler, ticking: Sequence[Job], stopping: Callable[[], bool]
) -> None:
    for job in ticking:
        scheduler.add_job(
            run,
            "interval",
            seconds=min(job.every, SHARED).total_seconds(),
            next_run_time=real_now(),
            args=(job, stopping),
            name=job.name,
        )


def _scheduler(*, threads: int) -> Scheduler:
    """Return a scheduler that keeps nothing: a tick that was missed is not made up."""
    return BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(threads)},
        job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
    )


def _seal(_now: datetime) -> int:
    return seal(real_now())


def _forget_strangers(_now: datetime) -> int:
    return forget(real_now())


def _sign_of_life(_now: datetime) -> int:
    """Call the operator's dead man's switch, unless something does not tick."""
    url = settings().heartbeat_url
    if url is None:
        return 0
    with transaction() as session:
        wrong = troubles(session, beats(session), clock=domain_clock(), real=real_now())
    if wrong:
        return 0
    try:
        httpx.get(url, timeout=HEARTBEAT_TIMEOUT).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        log.warning("no sign of life given", extra={"error": type(error).__name__})
    return 0


def _sweep(now: datetime) -> int:
    with transaction() as session:
        forgotten = forget_sends(session, now=now)
    return sweep(real_now()) + forgotten


def _partitions(now: datetime) -> int:
    with transaction() as session:
        ensure_partitions(session, now, now + PARTITIONS_AHEAD)
    return 0


def _deliver(stopping: Callable[[], bool], now: datetime) -> int:
    """Send what is due, one channel after the other."""
    names = due_channels(now=now, real=real_now())
    return sum(_send(name, Recent(), stopping, now) for name in names)


def _start(lanes: Lanes, now: datetime) -> int:
    """Have every channel that is due begin to send; what it sent is its own job's."""
    lanes.start(due_channels(now=now, real=real_now()))
    return 0


def _send_by(
    recents: Mapping[str, Recent], stopping: Callable[[], bool], name: str
) -> None:
    """Send what is due by a channel, which one thread does at a time."""
    send = partial(_send, name, recents[name], stopping)
    job = Job(f"deliver {name}", settings().deliver_every, send, steady=False)
    run(job, stopping)


def _send(
    name: str, recent: Recent, stopping: Callable[[], bool], now: datetime
) -> int:
    return deliver(
        {name: channels().get(name)},
        now=now,
        real=real_now,
        word=_word,
        speed=domain_clock().speed,
        recent=recent,
        stopping=stopping,
    )


def _word(
    session: Session, claimed: Sequence[Claimed], now: datetime
) -> Mapping[UUID, Verdict]:
    return {**word(session, claimed, now), **word_notices(claimed)}


def _fail_over(now: datetime) -> int:
    return fail_over(channels().keys(), now=now)


def _reconcile(now: datetime) -> int:
    return reconcile(channels(), now=now, real=real_now)


def _report(now: datetime) -> int:
    report(channels(), now=now, real=real_now())
    return 0
