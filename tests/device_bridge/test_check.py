"""The conformance check, tried on the reference and on boxes with one defect each."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from device_bridge.check.requirement import Finding, Verdict
from device_bridge.check.run import REQUIREMENTS, check, examine, found
from device_bridge.errors import LostPeripheral
from device_bridge.virtual.air import Air, open_door
from device_bridge.virtual.memory import Memory
from device_bridge.virtual.plan import Plan, PlannedDevice, read_plan
from device_bridge.virtual.server import address_of
from device_bridge.virtual.stage import Actor, performer
from tests.device_bridge.defective_box import Defect, Defective, DefectiveGatt, spoil
from tests.device_bridge.defects import DEFECTS
from tests.device_bridge.stories import a_device, a_plan, now, past

RECORDS = 300  # enough that a transfer can be interrupted
AT_ONCE = 12  # of the boxes; all of them would wait for each other
Found = dict[str, list[Finding]]


async def _examine_all(folder: Path) -> Found:
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(name: str, hci: str) -> list[Finding]:
        async with turns:
            return await _examined(name, hci)

    async with boxes(DEFECTS, RECORDS, folder) as hci:
        told = await asyncio.gather(*(in_turn(d.name, hci) for d in DEFECTS))
    return dict(zip((d.name for d in DEFECTS), told, strict=True))


@asynccontextmanager
async def boxes(
    defects: Sequence[Defect], records: int, folder: Path
) -> AsyncGenerator[str]:
    """Let defective boxes play while inside; yields where their radio is."""
    devices = [a_device(d.name, past(records, now())) for d in defects]
    plan = read_plan(a_plan(devices))
    air = Air()
    async with AsyncExitStack() as opened:
        memory = Memory(folder / "devices.sqlite")
        opened.callback(memory.close)
        door = await open_door(air, "127.0.0.1", 0)
        opened.callback(door.close)
        playing = [
            asyncio.create_task(_be(defect, device, plan, memory, air))
            for defect, device in zip(defects, plan.devices, strict=True)
        ]
        yield f"tcp-client:127.0.0.1:{door.sockets[0].getsockname()[1]}"
        for box in playing:
            box.cancel()
        await asyncio.gather(*playing, return_exceptions=True)


async def _be(
    defect: Defect, device: PlannedDevice, plan: Plan, memory: Memory, air: Air
) -> None:
    made = performer(device, plan, memory, air, partial(DefectiveGatt, defect))
    made.recorder.play(made.recorder.now)
    spoil(memory, device.serial, defect)
    await Actor(Defective(made, defect)).run()


def address(name: str) -> str:
    return address_of(name).to_string(with_type_qualifier=False)


async def _examined(name: str, hci: str) -> list[Finding]:
    async with found(address(name), hci, changes=True) as box:
        return [finding async for finding in examine(box)]


def test_a_box_fails_what_it_does_wrong_and_nothing_else(tmp_path: Path) -> None:
    # One test for all: they mostly wait, and wait together.
    told = asyncio.run(_examine_all(tmp_path))

    wrong = {
        defect.name: failed
        for defect in DEFECTS
        if set(failed := failures(told[defect.name])) != defect.fails
    }
    assert wrong == {}
    reference = {finding.number: finding.verdict for finding in told["none"]}
    assert set(reference) == {requirement.number for requirement in REQUIREMENTS}
    assert set(reference.values()) == {Verdict.PASS}


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

    async def checked() -> int:
        async with boxes([defect], 3, tmp_path) as hci:
            return await check(address(name), hci, changes=False, as_json=True)

    assert asyncio.run(checked()) == code
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is (code == 0)
    assert {f["number"] for f in told["findings"] if f["verdict"] == "fail"} == (
        defect.fails
    )


def test_a_device_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    async def checked() -> None:
        async with (
            boxes([], 0, tmp_path) as hci,
            found("F0:00:00:00:00:01", hci, changes=False, within=0.2),
        ):
            pytest.fail("found what is not there")

    with pytest.raises(LostPeripheral, match="not heard within"):
        asyncio.run(checked())
