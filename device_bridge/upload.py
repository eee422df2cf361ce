"""Posts what is spooled; forgets it only after the backend has committed it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TypeVar

from device_bridge import samples, spool, unchecked
from device_bridge.backend import Backend, Verdict
from device_bridge.clock import Clock
from device_bridge.errors import (
    BackendRefused,
    BackendUnavailable,
    QueueUnavailable,
)
from device_bridge.events import (
    Item,
    Kind,
    Record,
    heard,
    plain_event,
    segment_item,
)
from device_bridge.interpret import FRESH, interpret
from device_bridge.spool import Spool, SpooledRecord

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 1000  # as many as the backend takes at once
AHEAD = 4  # batches that are looked for at once
REST = 0.8  # longest pause between looks at the spool, real seconds
SLOW = 0.8  # between posts of vitals and of signs of life, real seconds
HELD_FOR = 60.0  # a rejected item is tried again after this, real seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
JITTER = Random()  # noqa: S311  spreads retries, protects nothing


@dataclass(frozen=True, slots=True)
class Heard:
    """Up to when, and up to which record, a device is known to have been heard.

    `clock`: offset and uncertainty of its clock, seconds; None while it tells nothing.
    """

    epoch: int | None
    sequence: int
    at: datetime
    clock: tuple[float, float] | None = None


class Uploader:
    """The one task that talks to the ingest API."""

    def __init__(self, spool_: Spool, backend: Backend, clock: Clock) -> None:
        self._spool = spool_
        self._backend = backend
        self._clock = clock
        self._wake = asyncio.Event()
        self._heard: dict[str, Heard] = {}
        self._troubles: dict[str, Item] = {}
        self._failures = 0
        self._slow_due = 0.0
        # Devices in the middle of a transfer: what comes later dates what came first.
        self.receiving: set[str] = set()

    def wake(self) -> None:
        """Look at the spool now."""
        self._wake.set()

    def note_heard(self, device_id: str, told: Heard) -> None:
        """Report a device as heard once all its records up to `sequence` are stored."""
        self._heard[device_id] = told
        self._wake.set()

    def forget_heard(self, device_id: str) -> None:
        """Say no more what was noted: the numbers it speaks of are others now."""
        self._heard.pop(device_id, None)

    def note_trouble(self, device_id: str, why: str) -> None:
        """Report that a device is not read because nothing can be kept on disk.

        That cannot go by way of the disk, and is said once an hour.
        """
        at = self._clock.now
        item = plain_event(device_id, Kind.SPOOL, at, {"why": why})
        item["id"] = f"{device_id}:{Kind.SPOOL.value}:{at:%Y-%m-%dT%H}"
        self._troubles[item["id"]] = item
        self._wake.set()

    async def run(self) -> None:
        """Upload until cancelled."""
        while True:
            self._wake.clear()
            try:
                busy = await self.step()
                self._failures = 0
            except (BackendUnavailable, QueueUnavailable) as error:
                await self._pause(error)
                continue
            if not busy:
                try:
                    async with asyncio.timeout(REST):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def step(self) -> bool:
        """Post one round and return whether there may be more.

        Nothing is posted that was dated by a clock that nobody has checked.
        """
        clock = self._clock
        if not clock.checked:
            return False
        await self._post_troubles()
        # What was read before the check may have come to the spool after it.
        await self._spool.run(unchecked.correct, clock.boot, clock.shift_s, self._now)
        records = await self._post_records()
        events = await self._post_events()
        segments = 0
        now = asyncio.get_running_loop().time()
        if now >= self._slow_due:
            # What comes every second from everyone is sent together.
            segments = await self._post_segments()
            await self._post_heard()
            self._slow_due = now + SLOW
        return records >= BATCH or BATCH in (events, segments)

    async def _pause(self, error: BackendUnavailable | QueueUnavailable) -> None:
        self._failures += 1
        exponential = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 20))
        asked = error.retry_after if isinstance(error, BackendUnavailable) else None
        pause = asked or exponential * JITTER.uniform(0.5, 1.0)
        log.warning(
            "not uploaded",
            extra={"why": str(error), "pause_s": round(pause, 2)},
        )
        await asyncio.sleep(pause)

    @property
    def _now(self) -> float:
        # By the backend's time: what is held until a time of a clock that ran ahead
        # would stay for as long as that was wrong.
        return self._clock.real.timestamp()

    async def _post_records(self) -> int:
        picked = await self._spool.run(
            spool.pick, AHEAD * BATCH, self._now, leave=self.receiving
        )
        parts = [picked[at : at + BATCH] for at in range(0, len(picked), BATCH)]
        reading = self._interpret(parts[0]) if parts else None
        for following in [*parts[1:], None]:
            if reading is None:
                break
            pairs = await reading
            # The next part is read while the backend works on this one.
            reading = None if following is None else self._interpret(following)
            try:
                await self._post_pairs(pairs)
            finally:
                if reading is not None:
                    await asyncio.wait((reading,))
        return len(picked)

    def _interpret(
        self, picked: Sequence[SpooledRecord]
    ) -> "asyncio.Task[list[tuple[SpooledRecord, Record]]]":
        reading = self._spool.run(interpret, picked, self._clock.now, self._now)
        return asyncio.ensure_future(reading)

    async def _post_pairs(self, pairs: Sequence[tuple[SpooledRecord, Record]]) -> None:
        for path in ("dose-events", "device-events"):
            chosen = [pair for pair in pairs if pair[1].path == path]
            await _in_parts(chosen, lambda part, path=path: self._post(path, part))

    async def _post(
        self, path: str, pairs: Sequence[tuple[SpooledRecord, Record]]
    ) -> None:
        items = [report.item() for _, report in pairs]
        verdicts = await self._judged(self._backend.post_items(path, items), len(items))
        judged = [(pair[0], v) for pair, v in zip(pairs, verdicts, strict=True)]
        kept = [record for record, verdict in judged if verdict.committed]
        await self._spool.run(spool.forget, kept)
        if refused := [(r.id, v.reason) for r, v in judged if not v.committed]:
            await self._spool.run(spool.hold, refused, self._now + HELD_FOR)
        _log_verdicts(path, verdicts)

    async def _judged(
        self, posting: Awaitable[list[Verdict]], count: int
    ) -> list[Verdict]:
        """Return the verdicts; what is refused alone is judged rejected."""
        try:
            return await posting
        except BackendRefused as error:
            if count > 1:
                raise
            why = {"status": error.status, "why": str(error)}
            log.error("item refused", extra=why)
            return [Verdict("rejected", f"status {error.status}")]

    async def _post_events(self) -> int:
        items = await self._spool.run(spool.pick_events, BATCH, self._now)
        await _in_parts(items, self._post_event_part)
        return len(items)

    async def _post_event_part(self, items: Sequence[Item]) -> None:
        posting = self._backend.post_items("device-events", items)
        verdicts = await self._judged(posting, len(items))
        ids = [
            (item["id"], verdict.committed)
            for item, verdict in zip(items, verdicts, strict=True)
        ]
        await self._spool.run(spool.forget_events, [id_ for id_, done in ids if done])
        held = [id_ for id_, done in ids if not done]
        await self._spool.run(spool.hold_events, held, self._now + HELD_FOR)

    async def _post_segments(self) -> int:
        segments = await self._spool.run(samples.pick, BATCH, self._now)
        await _in_parts(segments, self._post_segment_part)
        return len(segments)

    async def _post_segment_part(
        self, segments: Sequence[samples.VitalSegment]
    ) -> None:
        now = self._clock.now
        items = [segment_item(s, live=now - s.start <= FRESH) for s in segments]
        posting = self._backend.post_segments(items)
        verdicts = await self._judged(posting, len(items))
        judged = list(zip(segments, verdicts, strict=True))
        await self._spool.run(samples.forget, [s for s, v in judged if v.committed])
        held = [s for s, v in judged if not v.committed]
        await self._spool.run(samples.hold, held, self._now + HELD_FOR)
        _log_verdicts("vitals", verdicts)

    async def _post_troubles(self) -> None:
        told = dict(self._troubles)
        await _in_parts(list(told.values()), self._post_heard_part)
        for id_ in told:
            del self._troubles[id_]

    async def _post_heard(self) -> None:
        told, self._heard = self._heard, {}
        ready: list[Item] = []
        later: dict[str, Heard] = {}
        for device_id, last in told.items():
            item = await self._spool.run(_heard_item, device_id, last)
            if item is None:
                later[device_id] = last
            else:
                ready.append(item)
        self._heard = later | self._heard
        try:
            await _in_parts(ready, self._post_heard_part)
        except BackendUnavailable:
            self._heard = told | self._heard
            raise

    async def _post_heard_part(self, items: Sequence[Item]) -> None:
        posting = self._backend.post_items("device-events", items)
        await self._judged(posting, len(items))


def _heard_item(
    db: spool.sqlite3.Connection, device_id: str, last: Heard
) -> Item | None:
    """Return the report, or None while a record it speaks for is still here."""
    if last.epoch is not None:
        return heard(device_id, last.epoch, last.sequence, last.at)
    if spool.waiting_through(db, device_id, last.sequence):
        return None
    epoch, _, _ = spool.progress.committed_through(db, device_id)
    return heard(device_id, epoch, last.sequence, last.at, last.clock)


async def _in_parts(
    items: Sequence[T], post: Callable[[Sequence[T]], Awaitable[None]]
) -> None:
    """Post items; a batch that is refused as a whole is halved until it is not.

    One item that the backend cannot even read must not hold up all others.
    """
    if not items:
        return
    if await _taken(items, post):
        return
    half = len(items) // 2
    await _in_parts(items[:half], post)
    await _in_parts(items[half:], post)


async def _taken(
    items: Sequence[T], post: Callable[[Sequence[T]], Awaitable[None]]
) -> bool:
    try:
        await post(items)
    except BackendRefused:
        if len(items) == 1:
            raise
        return False
    return True


def _log_verdicts(path: str, verdicts: Sequence[Verdict]) -> None:
    counts: dict[str, int] = {}
    for verdict in verdicts:
        counts[verdict.verdict] = counts.get(verdict.verdict, 0) + 1
    log.info("uploaded", extra={"to": path} | counts)
