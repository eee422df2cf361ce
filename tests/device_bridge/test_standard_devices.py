"""A cuff and glucose meter in one, over the air: found, bonded, read, told once."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from bumble.device import Connection

from device_bridge.gatt import racp, uuids
from device_bridge.gatt.racp import Opcode, ResponseCode
from device_bridge.virtual.plan import PlannedDevice, read_plan
from device_bridge.virtual.recorder import Recorder
from device_bridge.virtual.server import (
    INDICATE,
    INDICATING,
    NOTIFY,
    READ,
    WRITE,
    GattDevice,
    advertisement,
)
from device_bridge.virtual.stage import Actor
from tests.device_bridge.fake_meter import a_reading
from tests.device_bridge.fake_sensor import date_time
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.stories import (
    World,
    a_bridge,
    a_device,
    a_plan,
    devices_and_backend,
    now,
    until,
)

ZONE = timedelta(hours=2)
MEASURED_AGO = timedelta(days=3)


class CuffAndMeter:
    """Indicates a pressure to whoever listens, again on each link, as if unheard."""

    def __init__(self, gatt: GattDevice, recorder: Recorder) -> None:
        self.gatt = gatt
        self.recorder = recorder
        self.told: set[int] = set()
        self.links = 0
        face = self.face(MEASURED_AGO)
        self.pressure = b"\x02" + bytes([150, 0, 90, 0, 110, 0]) + date_time(face)
        self.records = [a_reading(n, face, mass=100 + n) for n in range(1, 31)]
        self._answering: set[asyncio.Task[None]] = set()
        make = gatt.characteristic
        known = self.recorder.plan
        texts = (known.maker, known.model, known.serial)
        read = [uuids.MAKER, uuids.MODEL, uuids.SERIAL]
        gatt.add(
            uuids.DEVICE_INFORMATION,
            [
                make(uuid, READ, read=lambda _, text=text: text.encode())
                for uuid, text in zip(read, texts, strict=True)
            ],
        )
        gatt.add(uuids.short(0x1805), [make(uuids.CURRENT_TIME, READ, read=self.show)])
        gatt.add(
            uuids.BLOOD_PRESSURE,
            [make(uuids.BLOOD_PRESSURE_MEASUREMENT, INDICATE, encrypted=True)],
        )
        access = WRITE | INDICATE
        gatt.add(
            uuids.GLUCOSE,
            [
                make(uuids.GLUCOSE_MEASUREMENT, NOTIFY, encrypted=True),
                make(uuids.RECORD_ACCESS, access, write=self.asked, encrypted=True),
            ],
        )

    @property
    def advertising_data(self) -> bytes:
        return advertisement([uuids.BLOOD_PRESSURE], None)

    def face(self, ago: timedelta = timedelta(0)) -> datetime:
        return now() + ZONE - ago

    def show(self, _: Connection) -> bytes:
        return date_time(self.face()) + bytes(3)

    def linked(self, connection: Connection) -> None:
        del connection
        self.links += 1
        self.told.clear()

    def unlinked(self, connection: Connection) -> None:
        del connection

    def next_due(self) -> float | None:
        return 0.05

    async def act(self) -> None:
        uuid = uuids.BLOOD_PRESSURE_MEASUREMENT
        for connection in self.gatt.connections:
            listens = self.gatt.subscribed(connection, uuid, INDICATING)
            if listens and connection.handle not in self.told:
                self.told.add(connection.handle)
                await self.gatt.indicate(connection, uuid, self.pressure)

    def asked(self, connection: Connection, value: bytes) -> None:
        request = racp.decode_request(value, 2)
        answering = asyncio.ensure_future(self._answer(connection, request))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _answer(self, connection: Connection, request: racp.Request) -> None:
        meant = self.records[max(0, (request.minimum or 1) - 1) :]
        if request.opcode is Opcode.REPORT_NUMBER:
            answer = bytes([Opcode.NUMBER_RESPONSE, 0, len(meant), 0])
        else:
            for record in meant:
                await self.gatt.notify(connection, uuids.GLUCOSE_MEASUREMENT, record)
            code = ResponseCode.SUCCESS if meant else ResponseCode.NO_RECORDS
            answer = bytes([Opcode.RESPONSE_CODE, 0, request.opcode, code])
        await self.gatt.indicate(connection, uuids.RECORD_ACCESS, answer)


def on_the_air(world: World, planned: PlannedDevice) -> CuffAndMeter:
    plan = read_plan(a_plan([]))
    gatt = GattDevice(planned, world.memory, world.air)
    return CuffAndMeter(gatt, Recorder(planned, world.memory, plan.clock, now))


async def a_day(world: World, planned: PlannedDevice) -> CuffAndMeter:
    device = on_the_air(world, planned)
    playing = asyncio.create_task(Actor(device).run())
    try:
        for links in (1, 2):
            async with a_bridge(world):
                await until(lambda links=links: device.links >= links and device.told)
                await until(lambda: len(world.backend.segments) == 33)
    finally:
        playing.cancel()
        await asyncio.wait((playing,))
    return device


def test_all_that_it_tells_on_two_links_is_stored_once_at_its_own_time(
    tmp_path: Path,
) -> None:
    planned = read_plan(a_plan([a_device("C1", [], "wearable")])).devices[0]

    async def told(_loop: StillLoop) -> None:
        async with devices_and_backend(a_plan([]), tmp_path) as world:
            world.backend.serials["C1"] = (planned.maker, planned.model)
            await a_day(world, planned)
            segments = [*world.backend.segments.values()]
            by_code: dict[str, list[float]] = {}
            for segment in segments:
                by_code.setdefault(segment["code"], []).extend(segment["values"])
            assert sorted(by_code.pop("2339-0")) == [101.0 + n for n in range(30)]
            assert by_code == {
                "8480-6": [150.0],
                "8462-4": [90.0],
                "8478-0": [110.0],
            }
            for segment in segments:
                start = datetime.fromisoformat(segment["start"])
                assert abs(start - (now() - MEASURED_AGO)) < timedelta(seconds=20)
            assert not [
                event
                for event in world.backend.events.values()
                if event["kind"] == "quarantine"
            ]

    at_once(told, sockets=True)
