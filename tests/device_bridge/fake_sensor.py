"""A device that measures, as bleak shows it, and a bridge without radio before it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from bleak import BleakClient
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakGATTProtocolError
from bleak.exc import BleakGATTProtocolErrorCode as Code

from device_bridge.backend import Backend, RegisteredDevice
from device_bridge.clock import Clock
from device_bridge.gatt.uuids import (
    BATTERY_LEVEL,
    CURRENT_TIME,
    DATE_TIME,
    SERIAL,
    short,
)
from device_bridge.sample_link import SampleLink
from device_bridge.spool import Spool
from device_bridge.surroundings import Registry, SampleBuffer, Slots, Surroundings
from device_bridge.upload import Uploader
from tests.device_bridge.fake_backend import TOKEN, FakeBackend, device_id
from tests.device_bridge.stories import a_device, a_plan, backend_for, now, reached

SERIAL_NUMBER = "C1"
Told = Callable[[BleakGATTCharacteristic, bytearray], None]
READ: list[CharacteristicPropertyName] = ["read"]
TELL: list[CharacteristicPropertyName] = ["indicate", "notify"]


def date_time(face: datetime) -> bytes:
    """Return the seven octets of a calendar."""
    year = face.year.to_bytes(2, "little")
    rest = (face.month, face.day, face.hour, face.minute, face.second)
    return year + bytes(rest)


@dataclass
class FakeSensor:
    """What a device offers, and how its calendar is wrong (None: there is none)."""

    tells: tuple[int, ...]
    calendar: int | None = 0x2A2B
    behind: timedelta = timedelta(0)
    has_battery: bool = True
    wants_bond: bool = False
    unknown_date: bool = False
    service: int = 0x1800
    pairings: int = 0
    address: str = "F0:00:00:00:00:02"
    reads: list[str] = field(default_factory=list[str])
    _told: dict[str, Told] = field(default_factory=dict[str, Told])

    def __post_init__(self) -> None:
        self.services = BleakGATTServiceCollection()
        service = BleakGATTService(None, 1, short(self.service))
        self.services.add_service(service)
        reads = [SERIAL, *([BATTERY_LEVEL] if self.has_battery else [])]
        reads += [short(self.calendar)] if self.calendar else []
        offered = [(uuid, READ) for uuid in reads]
        offered += [(short(uuid), TELL) for uuid in self.tells]
        for handle, (uuid, properties) in enumerate(offered, 2):
            made = BleakGATTCharacteristic(
                None, handle, uuid, properties, lambda: 20, service
            )
            self.services.add_characteristic(made)

    @property
    def face(self) -> datetime:
        """Return what the device's calendar shows, as if that were UTC."""
        return now() - self.behind

    @property
    def is_listened_to(self) -> bool:
        return len(self._told) == len(self.tells)

    def arrives(self) -> None:
        """Begin a new link."""
        self._told.clear()

    async def pair(self, *, secure: bool = True) -> None:  # noqa: ARG002
        self.pairings += 1

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: Told
    ) -> None:
        if self.wants_bond and not self.pairings:
            raise BleakGATTProtocolError(Code.INSUFFICIENT_AUTHENTICATION)
        self._told[characteristic.uuid] = callback

    async def read_gatt_char(self, which: BleakGATTCharacteristic | str) -> bytearray:
        uuid = which if isinstance(which, str) else which.uuid
        self.reads.append(uuid)
        shown = bytes(7) if self.unknown_date else date_time(self.face)
        values = {
            CURRENT_TIME: shown + bytes(3),
            DATE_TIME: shown,
            BATTERY_LEVEL: bytes([80]),
            SERIAL: SERIAL_NUMBER.encode(),
        }
        return bytearray(values[uuid])

    def tell(self, uuid: int, octets: bytes | str) -> None:
        """Notify or indicate a value."""
        value = bytes.fromhex(octets) if isinstance(octets, str) else octets
        callback: Any = self._told[short(uuid)]
        callback(None, bytearray(value))


@dataclass
class Bench:
    sensor: FakeSensor
    backend: FakeBackend
    clock: Clock
    around: Surroundings

    @property
    def samples(self) -> list[tuple[str, float]]:
        """Return the codes and values that were uploaded, by code."""
        segments = [*self.backend.segments.values()]
        pairs = [(s["code"], value) for s in segments for value in s["values"]]
        return sorted(pairs)

    @property
    def starts(self) -> list[datetime]:
        segments = [*self.backend.segments.values()]
        return [datetime.fromisoformat(segment["start"]) for segment in segments]

    @property
    def refused(self) -> list[dict[str, Any]]:
        told = [*self.backend.events.values()]
        return [event["detail"] for event in told if event["kind"] == "quarantine"]

    @asynccontextmanager
    async def linked(
        self, sensor: FakeSensor | None = None
    ) -> AsyncGenerator[FakeSensor]:
        """Hold a link while inside."""
        device = RegisteredDevice(
            device_id(SERIAL_NUMBER), "Acme", "cuff 1", SERIAL_NUMBER, 0, 0
        )
        sensor = sensor or self.sensor
        sensor.arrives()
        client = cast("BleakClient", sensor)
        task = asyncio.create_task(SampleLink(client, device, self.around).run())
        async with asyncio.timeout(5):
            while not sensor.is_listened_to and not task.done():
                await asyncio.sleep(0.001)
        try:
            yield sensor
        finally:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.result()


@asynccontextmanager
async def a_bench(
    sensor: FakeSensor, folder: Path, clock: Clock | None = None
) -> AsyncGenerator[Bench]:
    """Yield a bridge that uploads; its clock is a checked one unless one is given."""
    backend = backend_for(a_plan([a_device(SERIAL_NUMBER, [])]))
    with reached(backend) as (address, over):
        spooled, http = Spool(folder / "spool.sqlite"), Backend(address, TOKEN, over)
        if clock is None:
            clock = Clock(read_real=now)
            clock.follow(clock.domain)
        uploader, buffer = Uploader(spooled, http, clock), SampleBuffer(spooled)
        around = Surroundings(
            clock=clock,
            spool=spooled,
            uploader=uploader,
            registry=Registry(spooled, http),
            backend=http,
            slots=Slots(1),
            samples=buffer,
        )
        work: Iterable[asyncio.Task[None]] = [
            asyncio.create_task(uploader.run()),
            asyncio.create_task(buffer.run()),
        ]
        try:
            yield Bench(sensor, backend, clock, around)
        finally:
            for task in work:
                task.cancel()
            await asyncio.wait(work)
            await http.close()
            spooled.close()
    assert backend.breaches == []
