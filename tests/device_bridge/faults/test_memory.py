"""A bridge that has read a million records is no larger than one that read a few."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import httpx
import psutil
import pytest
from bleak import BleakClient

from device_bridge.backend import Backend, RegisteredDevice
from device_bridge.clock import Clock
from device_bridge.gatt import racp
from device_bridge.gatt.racp import Opcode, Operator, ResponseCode
from device_bridge.gatt.uuids import RECORD_ACCESS
from device_bridge.profiles import profile_named
from device_bridge.record_link import RecordLink
from device_bridge.spool import Spool
from device_bridge.surroundings import Registry, SampleBuffer, Slots, Surroundings
from device_bridge.upload import Uploader
from tests.device_bridge.fake_box import FakeBox, an_opening
from tests.device_bridge.faults.still_time import StillLoop, at_once

KEEPS = 5000  # records that the box has at a time
NEW = {"verdict": "new", "reason": None, "detail": None}
MEBIBYTE = 2**20
OBJECT_ID_AT = 18  # behind class, length, flags, type and time


class SameAgain:
    """Records that are made when they are read, every time the same."""

    def __init__(self) -> None:
        self._made = an_opening(1)

    def get(self, number: int) -> bytes:
        octets, at = self._made, OBJECT_ID_AT
        return octets[:at] + number.to_bytes(4, "little") + octets[at + 4 :]


class EndlessBox(FakeBox):
    """Always has the next few thousand records, made when they are sent."""

    def __init__(self) -> None:
        super().__init__(cast("dict[int, bytes]", SameAgain()))
        self.deleted = 0

    def _act(self, request: racp.Request) -> None:
        first, last = self.deleted + 1, self.deleted + KEEPS
        if request.opcode is Opcode.DELETE_STORED:
            self.deleted = request.maximum or self.deleted
            self._code(request, ResponseCode.SUCCESS)
        elif request.operator is Operator.FIRST:
            self._report([first])
        elif request.operator is Operator.LAST:
            self._report([last])
        elif (low := request.minimum or first) <= last:
            high = min(last, request.maximum or last)
            self._report(range(max(low, first), high + 1))
        else:
            self._code(request, ResponseCode.NO_RECORDS)

    async def write_gatt_char(self, uuid: str, value: bytes, *, response: bool) -> None:
        await super().write_gatt_char(uuid, value, response=response)
        if uuid == RECORD_ACCESS:
            self.requests.clear()


class Counting(httpx.AsyncBaseTransport):
    """Takes everything and keeps nothing; `sizes` are ours at some counts."""

    def __init__(self, marks: tuple[int, int]) -> None:
        self.taken, self.sizes = 0, dict[int, int]()
        self._marks = marks

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)["items"]
        if request.url.path.endswith("dose-events"):
            self.taken += len(items)
            for mark in self._marks:
                if self.taken >= mark and mark not in self.sizes:
                    self.sizes[mark] = psutil.Process().memory_info().rss
        return httpx.Response(200, json={"verdicts": [NEW] * len(items)})


async def read_records(folder: Path, counting: Counting, last: int) -> None:
    """Run one link and one uploader until so many records are committed."""
    spooled, clock = Spool(folder / "spool.sqlite"), Clock()
    clock.follow(clock.domain)
    backend = Backend("http://backend", "t", counting)
    uploader = Uploader(spooled, backend, clock)
    around = Surroundings(
        clock=clock,
        spool=spooled,
        uploader=uploader,
        registry=Registry(spooled, backend),
        backend=backend,
        slots=Slots(1),
        samples=SampleBuffer(spooled),
    )
    device = RegisteredDevice("d", "Acme", "box 1", "B1", 0, 0)
    client = cast("BleakClient", EndlessBox())
    profile = profile_named("medication monitor over GHS")
    link = RecordLink(client, profile, device, around)
    tasks = [asyncio.ensure_future(work) for work in (uploader.run(), link.run())]
    while counting.taken < last:
        await asyncio.sleep(1)
        assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await backend.close()
    spooled.close()


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param((10_000, 20_000), id="twenty thousand"),
        pytest.param((100_000, 1_000_000), id="a million", marks=pytest.mark.soak),
    ],
)
def test_the_bridge_does_not_grow_with_what_it_has_read(
    tmp_path: Path, marks: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    counting = Counting(marks)

    def told(_: StillLoop) -> Coroutine[Any, Any, None]:
        return read_records(tmp_path, counting, marks[1])

    at_once(told)
    grown = counting.sizes[marks[1]] - counting.sizes[marks[0]]
    told_as = ("bridge grew, MiB", round(grown / MEBIBYTE, 1))
    request.node.user_properties.append(told_as)
    assert grown < 10 * MEBIBYTE
