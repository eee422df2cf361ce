"""The conformance check, tried on the reference and on boxes with one defect each."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from device_bridge.check.requirement import Finding, Verdict
from device_bridge.check.run import REQUIREMENTS, check, examine, found
from device_bridge.errors import LostPeripheral
from device_bridge.virtual.air import Air, open_door
from device_bridge.virtual.memory import Memory
from device_bridge.virtual.plan import read_plan
from device_bridge.virtual.server import address_of
from device_bridge.virtual.stage import Actor, performer
from tests.device_bridge.defective_box import Defect, Defective, DefectiveGatt, spoil
from tests.device_bridge.defects import DEFECTS
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.stories import a_device, a_plan, past

RECORDS = 300  # enough that a transfer can be interrupted
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


@asynccontextmanager
async def playing(
    loop: StillLoop, folder: Path, defect: Defect | None, records: int
) -> AsyncGenerator[str]:
    """Let a defective box play while inside, or none; yields where the radio is."""
    air, memory = Air(), Memory(folder / "devices.sqlite")
    door = await open_door(air, "127.0.0.1", 0)
    box = asyncio.create_task(
        asyncio.sleep(0) if defect is None else _be(loop, defect, records, memory, air)
    )
    try:
        yield f"tcp-client:127.0.0.1:{door.sockets[0].getsockname()[1]}"
    finally:
        box.cancel()
        await asyncio.gather(box, return_exceptions=True)
        door.close()
        memory.close()


async def _be(
    loop: StillLoop, defect: Defect, records: int, memory: Memory, air: Air
) -> None:
    def clock() -> datetime:
        return START + timedelta(seconds=loop.time())

    device = a_device(defect.name, past(records, START))
    plan = read_plan(a_plan([device], start=START))
    gatt = partial(DefectiveGatt, defect)
    made = performer(plan.devices[0], plan, memory, air, gatt, clock)
    made.recorder.play(made.recorder.now)
    spoil(memory, device["serial"], defect)
    await Actor(Defective(made, defect)).run()


def address(name: str) -> str:
    return address_of(name).to_string(with_type_qualifier=False)


def examined(defect: Defect, folder: Path) -> list[Finding]:
    async def story(loop: StillLoop) -> list[Finding]:
        async with (
            playing(loop, folder, defect, RECORDS) as hci,
            found(address(defect.name), hci, changes=True) as box,
        ):
            return [finding async for finding in examine(box)]

    return at_once(story, sockets=True)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_box_fails_what_it_does_wrong_and_nothing_else(
    defect: Defect, tmp_path: Path
) -> None:
    findings = examined(defect, tmp_path)

    assert set(failures(findings)) == defect.fails, failures(findings)
    if not defect.fails:
        told = {finding.number: finding.verdict for finding in findings}
        assert set(told) == {requirement.number for requirement in REQUIREMENTS}
        assert set(told.values()) == {Verdict.PASS}


def failures(findings: Sequence[Finding]) -> dict[str, str]:
    """Return why each requirement failed that did."""
    return {f.number: f.why for f in findings if f.verdict is Verdict.FAIL}


def test_every_requirement_can_be_failed() -> None:
    failed = {number for defect in DEFECTS for number in defect.fails}

    assert {requirement.number for requirement in REQUIREMENTS} == failed


@pytest.mark.parametrize(("name", "code"), [("none", 0), ("is overcharged", 1)])
def test_the_command_tells_in_json_and_by_its_exit_code(
    name: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (defect,) = (d for d in DEFECTS if d.name == name)

    async def checked(loop: StillLoop) -> int:
        async with playing(loop, tmp_path, defect, 3) as hci:
            return await check(address(name), hci, changes=False, as_json=True)

    assert at_once(checked, sockets=True) == code
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is (code == 0)
    assert {f["number"] for f in told["findings"] if f["verdict"] == "fail"} == (
        defect.fails
    )


def test_a_device_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    async def checked(loop: StillLoop) -> None:
        async with (
            playing(loop, tmp_path, None, 0) as hci,
            found("F0:00:00:00:00:01", hci, changes=False),
        ):
            pytest.fail("found what is not there")

    with pytest.raises(LostPeripheral, match="not heard within"):
        at_once(checked, sockets=True)
