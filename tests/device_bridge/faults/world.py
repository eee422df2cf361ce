"""One case: a box with records, a bridge, a backend, faults, and the verdict."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from device_bridge import links, upload
from device_bridge.clock import DomainClock
from device_bridge.virtual.monitor import Monitor
from device_bridge.virtual.plan import PlannedEvent, read_plan
from device_bridge.virtual.stage import Actor, performer
from tests.device_bridge.fake_backend import FakeBackend, device_id
from tests.device_bridge.faults.air import FaultyAir
from tests.device_bridge.faults.gateway import BEGINNING, Gateway
from tests.device_bridge.faults.steps import Reading, Step
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.faults.strikes import Case, Fault, Strike
from tests.device_bridge.faults.truth import Truth, WatchedMemory
from tests.device_bridge.stories import a_device, a_plan, an_event, past

SERIAL = "B1"
STORED, CAPACITY = 5, 8
LIVE_AT = (20.0, 21.0, 50.0)  # seconds from the beginning
OVERFLOWING = 6  # openings, when the memory is made full
SMALL_MTU = 23
SOON = timedelta(milliseconds=1)
LONGEST = 2.5 * 3600.0  # virtual seconds until all must be well
QUIET = 20.0
JUMP_S = 3 * 3600
# Gained in a second. A second fault may keep the bridge from the readings that would
# show it more than a sound clock does, and then nobody promises more (ADR 0128).
DRIFT_S, SOUND_DRIFT_S = 500e-6, 80e-6


@dataclass
class Outcome:
    """What a case came to. `breaches` is empty when every promise was kept."""

    reached: Counter[Step]
    breaches: list[str]
    struck: int
    seconds: float


@dataclass
class World:
    loop: StillLoop
    case: Case
    folder: Path
    reached: Counter[Step] = field(default_factory=Counter[Step])
    struck: list[Strike] = field(default_factory=list[Strike])

    def __post_init__(self) -> None:
        self._waiting, self._over = list(self.case.strikes), False
        draw = Random(self.case.seed)
        for module in (links, upload):
            module.JITTER.seed(self.case.seed)
        clock = DomainClock(BEGINNING, BEGINNING)
        self.backend = FakeBackend({SERIAL: ("Acme", "box 1")}, clock)
        air = FaultyAir(self.strike, draw)
        self.gateway = Gateway(self.loop, air, self.backend, self.folder / "spool")
        self.backend.read_now = lambda: self.gateway.now
        self.gateway.strike = self.strike
        self.gateway.on_answer = self._hear
        self.truth = Truth(self.backend, SERIAL, self.gateway.queued)
        memory = WatchedMemory(self.folder / "box.sqlite", CAPACITY, self.truth)
        self.memory = memory
        live = [an_event(BEGINNING + timedelta(seconds=s)) for s in LIVE_AT]
        device = a_device(SERIAL, past(STORED, BEGINNING) + live)
        plan = read_plan(a_plan([device], start=BEGINNING))
        made = performer(
            plan.devices[0],
            plan,
            memory,
            air,
            read_real=lambda: self.gateway.now,
        )
        assert isinstance(made, Monitor)
        self.box = made
        if self.case.small:
            made.gatt.device.gatt_server.max_mtu = SMALL_MTU
        made.recorder.play(self.gateway.now)
        self.actor = Actor(made)
        air.reading = Reading(made.gatt)

    def strike(self, step: Step) -> Fault | None:
        """Count the step, and do what is to happen at it."""
        if self._over:
            return None
        self.reached[step] += 1
        for strike in self._waiting:
            if (strike.step, strike.nth) == (step, self.reached[step]):
                self._waiting.remove(strike)
                self.struck.append(strike)
                self._happen(strike.fault)
                return strike.fault
        return None

    def _happen(self, fault: Fault) -> None:
        match fault:
            case Fault.SIGNAL_LOST:
                self.loop.call_soon(self.box.gatt.controller.drop_links)
            case Fault.KILLED:
                self.gateway.kill()
            case Fault.BACKEND_AWAY:
                self.gateway.backend_goes(self.case.away_s)
            case Fault.DISK_FULL | Fault.READ_ONLY:
                self.gateway.disk_fails(fault, self.case.away_s / 4)
            case Fault.CLOCK_SET | Fault.CLOCK_BACK | Fault.CLOCK_LOST:
                jump = {Fault.CLOCK_SET: JUMP_S, Fault.CLOCK_BACK: -JUMP_S}
                self._plan(an_event(self._soon(), "clock_set", amount=jump.get(fault)))
            case Fault.RESET:
                recorder = self.box.recorder
                changed = replace(recorder.plan, reset=(self._soon(),))
                recorder.plan = changed
                self.loop.call_soon(self.actor.look_again)
            case Fault.MEMORY_FULL:
                ats = [self._soon() + n * SOON for n in range(OVERFLOWING)]
                self._plan(*[an_event(at) for at in ats])
            case _:
                self._happen_unsaid(fault)

    def _happen_unsaid(self, fault: Fault) -> None:
        if fault is Fault.CLOCK_MOVED:
            if not self.backend.heard:
                self.truth.nobody_knows_when()  # its clock was never read before
            self.move_clock(JUMP_S)

    def _soon(self) -> Any:  # noqa: ANN401
        return max(self.gateway.now, self.box.recorder.state.played_until) + SOON

    def _plan(self, *events: dict[str, Any]) -> None:
        recorder = self.box.recorder
        device = a_device(SERIAL, list(events))
        planned: tuple[PlannedEvent, ...] = (
            read_plan(a_plan([device], start=BEGINNING)).devices[0].events
        )
        ahead = sorted((*recorder.plan.events, *planned), key=lambda event: event.at)
        recorder.plan = replace(recorder.plan, events=tuple(ahead))
        self.loop.call_soon(self.actor.look_again)

    def move_clock(self, by_s: float) -> None:
        """Let the clock of the box be another, within its timeline."""
        recorder = self.box.recorder
        state = replace(recorder.state, offset_s=recorder.state.offset_s + by_s)
        recorder.state = state
        self.memory.moved(state)

    def _hear(self, path: str, body: dict[str, Any]) -> None:
        for item in body.get("items", ()):
            if path.endswith("device-events") and item["kind"] == "heard":
                self.truth.heard(item["heard_until"])

    async def tell(self) -> Outcome:
        """Play the case until all is well and quiet, or far too late."""
        playing = asyncio.ensure_future(self.actor.run())
        bridging = asyncio.ensure_future(self.gateway.run())
        try:
            stuck = await self._until_well(playing, bridging)
        finally:
            self._over = True
            for task in (bridging, playing):
                task.cancel()
                await asyncio.wait((task,))
            self.memory.close()
        undated = any(s.fault is Fault.CLOCK_LOST for s in self.struck)
        wrong = stuck + self.truth.judge(undated=undated)
        return Outcome(self.reached, wrong, len(self.struck), self.loop.time())

    async def _until_well(
        self, playing: "asyncio.Future[None]", bridging: "asyncio.Future[None]"
    ) -> list[str]:
        well_since = None
        while self.loop.time() < LONGEST:
            await asyncio.sleep(1.0)
            if any(s.fault is Fault.CLOCK_DRIFTS for s in self.struck):
                alone = len(self.case.strikes) == 1
                self.move_clock(DRIFT_S if alone else SOUND_DRIFT_S)
            if playing.done():
                return [f"the box ended: {playing.exception()!r}"]
            if bridging.done():
                return [f"the bridge ended: {self.gateway.failed()!r}"]
            if not self._well():
                well_since = None
                continue
            well_since = well_since or self.loop.time()
            if self.loop.time() - well_since >= QUIET:
                return []
        return [f"not well after {LONGEST} s: {self.memory.bounds(SERIAL)}"]

    def _well(self) -> bool:
        if self.box.recorder.next_due() is not None or self.memory.bounds(SERIAL)[2]:
            return False
        heard = self.backend.heard.get(device_id(SERIAL), [])
        last = self.box.recorder.state.next_number - 1
        # That a box without records was reset, nobody can see: what it made before that
        # may still wait for a backend that is away.
        is_heard = bool(heard) and (not last or heard[-1]["sequence"] == last)
        return is_heard and not self.gateway.queued()


def play(case: Case, folder: Path) -> Outcome:
    """Return what a case comes to."""

    def told(loop: StillLoop) -> Coroutine[Any, Any, Outcome]:
        async def telling() -> Outcome:
            return await World(loop, case, folder).tell()

        return telling()

    return at_once(told)
