"""A box at the other end of a link, as bleak shows it, that can misbehave."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from bleak import BleakClient

from device_bridge.backend import Backend, RegisteredDevice
from device_bridge.clock import Clock
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt import racp
from device_bridge.gatt.elapsed_time import decode_elapsed_time, utc_stamp
from device_bridge.gatt.ghs import Discrete, Observation, Tlv, encode_observation
from device_bridge.gatt.racp import Opcode, Operator, ResponseCode
from device_bridge.gatt.segments import SegmentCutter
from device_bridge.gatt.uuids import (
    BATTERY_LEVEL,
    CURRENT_ELAPSED_TIME,
    LIVE_OBSERVATIONS,
    RECORD_ACCESS,
    STORED_OBSERVATIONS,
)
from device_bridge.profiles import profile_named
from device_bridge.record_link import RecordLink
from device_bridge.spool import Spool
from device_bridge.surroundings import Registry, SampleBuffer, Slots, Surroundings
from device_bridge.upload import Uploader
from tests.device_bridge.fake_backend import TOKEN, FakeBackend, device_id
from tests.device_bridge.stories import a_device, a_plan, backend_for, now, reached

SERIAL = "B1"
MINUTE = timedelta(minutes=1)
HIGHEST = 2**32 - 1
Notify = Callable[[Any, bytearray], None]


def an_opening(number: int, store: int | None = None) -> bytes:
    """Return the message of an opening, some minutes ago, as a box keeps it."""
    tlvs = [Tlv(mdc.TIMELINE_EPOCH, 6, bytes(2))]
    if store is not None:
        tlvs.append(Tlv(mdc.STORE, 8, store.to_bytes(4, "little")))
    opened = Observation(
        Discrete(mdc.CONTAINER_OPENED),
        type=mdc.CONTAINER,
        time=utc_stamp(now() - 100 * MINUTE + number * MINUTE, current=True),
        object_id=number,
        tlvs=tuple(tlvs),
    )
    return encode_observation(opened)


@dataclass
class FakeBox:
    """What a box stores, and how it fails.

    It is `busy` for so many requests; it counts the `withheld` as sent, but nothing of
    them arrives; of the `broken` only the beginning does. `live_during_transfer`
    happens, and is told live, behind the first record of the next transfer. With a
    `store` it deletes in that one alone; `meanwhile` happens when it is asked, before
    it acts.
    """

    records: dict[int, bytes]
    busy: int = 0
    withheld: set[int] = field(default_factory=set[int])
    broken: set[int] = field(default_factory=set[int])
    live_during_transfer: int | None = None
    knows_ranges: bool = True
    deletes_many: bool = True
    repeats: int = 1  # of each record
    unasked: int | None = None  # sent at the end of a transfer
    pause_after: int | None = None  # records; then nothing comes any more
    store: int | None = None
    meanwhile: Callable[[racp.Request], None] = lambda _: None
    offset: timedelta = timedelta(0)
    address: str = "F0:00:00:00:00:01"
    requests: list[racp.Request] = field(default_factory=list[racp.Request])
    clock_settings: int = 0
    _told: dict[str, Notify] = field(default_factory=dict[str, Notify])

    def __post_init__(self) -> None:
        self._stored, self._live = SegmentCutter(), SegmentCutter()

    def arrives(self) -> None:
        """Begin a new link."""
        self._told.clear()
        self.__post_init__()

    async def start_notify(self, uuid: str, callback: Notify) -> None:
        self._told[uuid] = callback

    async def read_gatt_char(self, uuid: str) -> bytearray:
        if uuid == BATTERY_LEVEL:
            return bytearray([80])
        assert uuid == CURRENT_ELAPSED_TIME
        return bytearray(utc_stamp(now() + self.offset, current=True).encode())

    async def write_gatt_char(self, uuid: str, value: bytes, *, response: bool) -> None:
        assert response
        if uuid == CURRENT_ELAPSED_TIME:
            face = decode_elapsed_time(value).utc
            assert face is not None
            self.clock_settings += 1
            self.offset = face - now()
        if uuid == RECORD_ACCESS:
            request = racp.decode_request(value)
            self.requests.append(request)
            self.meanwhile(request)
            asyncio.get_running_loop().call_soon(self._act, request)

    @property
    def is_live(self) -> bool:
        return BATTERY_LEVEL in self._told  # enabled behind live observations

    def happens(self, number: int) -> None:
        """Record an opening and tell it live."""
        self.records[number] = an_opening(number, self.store)
        self._say(LIVE_OBSERVATIONS, self._live.cut(self.records[number], 100))

    def _act(self, request: racp.Request) -> None:
        if request.opcode is Opcode.ABORT:
            self._code(request, ResponseCode.SUCCESS)
        elif self.busy:
            self.busy -= 1
            self._code(request, ResponseCode.SERVER_BUSY)
        elif refused := self._refused(request):
            self._code(request, refused)
        elif request.opcode is Opcode.REPORT_NUMBER:
            count = len(self._meant(request))
            answer = racp.Answer(Opcode.NUMBER_RESPONSE, count=count)
            self._say(RECORD_ACCESS, [answer.encode()])
        elif not (numbers := self._meant(request)):
            self._code(request, ResponseCode.NO_RECORDS)
        elif request.opcode is Opcode.DELETE_STORED:
            for number in numbers:
                del self.records[number]
            self._code(request, ResponseCode.SUCCESS)
        else:
            self._report(numbers)

    def _refused(self, request: racp.Request) -> ResponseCode | None:
        if request.store is not None and self.store is None:
            return ResponseCode.OPERAND_NOT_SUPPORTED
        known = request.operator is not Operator.WITHIN_RANGE or self.knows_ranges
        if request.opcode is Opcode.DELETE_STORED and not self.deletes_many:
            known = request.operator is Operator.FIRST
        return None if known else ResponseCode.OPERATOR_NOT_SUPPORTED

    def _meant(self, request: racp.Request) -> list[int]:
        here = request.store in (None, self.store)
        numbers = sorted(self.records) if here else []
        match request.operator:
            case Operator.FIRST:
                return numbers[:1]
            case Operator.LAST:
                return numbers[-1:]
            case _:
                low = request.minimum or 0
                high = HIGHEST if request.maximum is None else request.maximum
                return [number for number in numbers if low <= number <= high]

    def _report(self, numbers: Iterable[int]) -> None:
        sent = 0
        for number in numbers:
            if sent == self.pause_after:
                return
            sent += 1
            for _ in range(self.repeats):
                self._send(number)
            if (live := self.live_during_transfer) is not None:
                self.live_during_transfer = None
                self.happens(live)
        if self.unasked is not None:
            self._send(self.unasked)
        answer = racp.Answer(Opcode.COMBINED_RESPONSE, count=sent)
        self._say(RECORD_ACCESS, [answer.encode()])

    def _send(self, number: int) -> None:
        kept = self.records.get(number) or an_opening(number, self.store)
        message = number.to_bytes(4, "little") + kept
        segments = self._stored.cut(message, 30)
        if number in self.broken:
            segments = segments[:1]
        if number not in self.withheld:
            self._say(STORED_OBSERVATIONS, segments)

    def _code(self, request: racp.Request, code: ResponseCode) -> None:
        answer = racp.Answer(Opcode.RESPONSE_CODE, request=request.opcode, code=code)
        self._say(RECORD_ACCESS, [answer.encode()])

    def _say(self, uuid: str, values: Iterable[bytes]) -> None:
        for value in values:
            if uuid in self._told:
                self._told[uuid](None, bytearray(value))


@dataclass
class Bench:
    """A box before a bridge without radio, and a backend behind it."""

    box: FakeBox
    backend: FakeBackend
    spool: Spool
    around: Surroundings
    clock: Clock

    @property
    def heard(self) -> list[dict[str, Any]]:
        return self.backend.heard.get(device_id(SERIAL), [])

    @property
    def sequences(self) -> list[int]:
        return self.backend.sequences(SERIAL)

    @property
    def gaps(self) -> list[dict[str, Any]]:
        told = list(self.backend.events.values())
        return [event["detail"] for event in told if event["kind"] == "gap"]

    async def link(self) -> None:
        """Hold one link until it ends, as a rule by an error."""
        self.box.arrives()
        device = RegisteredDevice(device_id(SERIAL), "Acme", "box 1", SERIAL, 0, 0)
        profile = profile_named("medication monitor over GHS")
        client = cast("BleakClient", self.box)
        await RecordLink(client, profile, device, self.around).run()

    @asynccontextmanager
    async def linked(self) -> AsyncGenerator[None]:
        """Hold a link while inside."""
        task = asyncio.create_task(self.link())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.result()


@asynccontextmanager
async def a_bench(box: FakeBox, folder: Path) -> AsyncGenerator[Bench]:
    """Yield a bridge that uploads, to which the box may be linked."""
    backend = backend_for(a_plan([a_device(SERIAL, [])]))
    with reached(backend) as (address, over):
        spooled = Spool(folder / "spool.sqlite")
        http, clock = Backend(address, TOKEN, over), Clock(read_real=now)
        clock.follow(clock.domain)
        uploader = Uploader(spooled, http, clock)
        around = Surroundings(
            clock=clock,
            spool=spooled,
            uploader=uploader,
            registry=Registry(spooled, http),
            backend=http,
            slots=Slots(1),
            samples=SampleBuffer(spooled),
        )
        uploading = asyncio.create_task(uploader.run())
        try:
            yield Bench(box, backend, spooled, around, clock)
        finally:
            uploading.cancel()
            await asyncio.wait((uploading,))
            await http.close()
            spooled.close()
    assert backend.breaches == []
