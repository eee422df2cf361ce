"""What changes a device: deletion of records, and setting its clock."""

import asyncio
from dataclasses import replace
from typing import Any

from device_bridge.check.box import ANSWER_WITHIN, Box, Jump, Procedure, Stored, stored
from device_bridge.check.clock import read_clock
from device_bridge.check.live import control
from device_bridge.check.requirement import Requirement, Untested, want
from device_bridge.check.transfer import stores
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt import racp
from device_bridge.gatt.control import Control
from device_bridge.gatt.elapsed_time import SYNC_NTP, Resolution
from device_bridge.gatt.ghs import U16, Observation, Quantity, decode_observation
from device_bridge.gatt.racp import Opcode, ResponseCode
from device_bridge.gatt.segments import SegmentAssembler
from device_bridge.gatt.uuids import CURRENT_ELAPSED_TIME, LIVE_OBSERVATIONS
from device_bridge.profiles.medication_monitor_ghs import canonical

JUMP = 60  # seconds: more than the two that a device may set without a record
MANUAL, POOR_SOURCE, WRONG_FORMAT = 4, 0x80, 0x81
SLACK = 2.0


async def _refuses_a_poor_source(box: Box) -> None:
    shown = await read_clock(box)
    by_hand = replace(shown, sync_source=MANUAL, status=None)
    code = await box.write(CURRENT_ELAPSED_TIME, by_hand.encode())
    want(code == POOR_SOURCE, f"time of source manual gives {code:#04x}, want 0x80")
    other = Resolution.SECOND if shown.resolution else Resolution.MILLISECOND
    flags = shown.flags & ~0x0C | other << 2
    odd = replace(shown, flags=flags, sync_source=SYNC_NTP, status=None)
    code = await box.write(CURRENT_ELAPSED_TIME, odd.encode())
    want(code == WRONG_FORMAT, f"another resolution gives {code:#04x}, want 0x81")


async def _move_clock(box: Box, seconds: int) -> float:
    """Set the clock ahead and return how long that took: so much less it moved."""
    began = asyncio.get_running_loop().time()
    shown = await read_clock(box)
    units = seconds * 1_000_000 // shown.resolution.microseconds
    moved = replace(shown, value=shown.value + units, sync_source=SYNC_NTP, status=None)
    code = await box.write(CURRENT_ELAPSED_TIME, moved.encode())
    want(code == 0, f"the clock cannot be set: ATT error {code:#04x}")
    now = await read_clock(box)
    off = (now.value - moved.value) * now.resolution.microseconds / 1e6
    took = asyncio.get_running_loop().time() - began
    near = -SLACK <= off <= SLACK + took
    want(near, f"set, the clock shows {off:.1f} s more than was written")
    return took


async def _can_be_set(box: Box) -> None:
    jump, assembler = Jump(), SegmentAssembler()

    def told(_: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        message = assembler.feed(bytes(value))
        if message is not None:
            jump.live.append(message)
            jump.came.set()

    def indicated(_: Any, _value: bytearray) -> None:  # noqa: ANN401  unused
        jump.indicated += 1

    await box.client.start_notify(LIVE_OBSERVATIONS, told)
    await box.client.start_notify(CURRENT_ELAPSED_TIME, indicated)
    await control(box, Control.START_LIVE)
    try:
        jump.took = await _move_clock(box, JUMP)
        box.jump = jump
        try:
            async with asyncio.timeout(ANSWER_WITHIN / 2):
                await jump.came.wait()
        except TimeoutError:
            pass
        messages, _ = (await box.ask(racp.REPORT_LAST)).messages()
        jump.record = stored(messages[0]) if messages else None
    finally:
        await control(box, Control.STOP_LIVE)
        await _move_clock(box, -JUMP)
        await box.client.stop_notify(LIVE_OBSERVATIONS)


def _jump(box: Box) -> Jump:
    if box.jump is None:
        raise Untested("its clock could not be set")
    return box.jump


def _record(box: Box) -> tuple[Stored, Observation]:
    record = _jump(box).record
    if record is None or record.observation is None:
        raise Untested("it has not recorded that its clock was set")
    return record, record.observation


async def _records_the_jump(box: Box) -> None:
    record = _jump(box).record
    said = None if record is None else record.observation
    recorded = said is not None and said.type == mdc.CLOCK_SET
    want(recorded, "no record of type 0xF105 after the clock was set")
    value = None if said is None else said.value
    seconds = value.number.decimal if isinstance(value, Quantity) else None
    want(seconds is not None, "the record does not say by how much it was set")
    off = abs(float(seconds or 0) - JUMP)
    want(
        off <= SLACK + _jump(box).took,
        f"it was set by {JUMP} s, and recorded {seconds} s",
    )


async def _opens_a_timeline(box: Box) -> None:
    _, said = _record(box)
    before = box.records[-1].observation if box.records else None
    if before is None:
        raise Untested("it had no record before its clock was set")
    old, new = (s.unsigned(mdc.TIMELINE_EPOCH, U16) for s in (before, said))
    want(old is not None and new is not None, "records without epoch")
    follows = new == ((old or 0) + 1) % 0x10000
    want(follows, f"epoch {old} is followed by {new} when the clock is set")


async def _tells_the_time(box: Box) -> None:
    want(_jump(box).indicated, "2BF2 is not indicated when the clock is set")


async def _numbers_on(box: Box) -> None:
    record, _ = _record(box)
    if not box.records:
        raise Untested("it had no record before its clock was set")
    last = box.records[-1].number
    want(record.number > last, f"record {record.number} follows on record {last}")


async def _tells_live(box: Box) -> None:
    jump = _jump(box)
    record, _ = _record(box)
    want(jump.live, "what it records is not told live")
    decode_observation(jump.live[-1])
    same = canonical(jump.live[-1]) == canonical(record.message)
    want(same, "a live record and its stored copy are not the same octets")


async def _deletes_through(box: Box) -> None:
    if len(box.records) < 2:
        raise Untested("it has fewer than two stored records")
    through = box.records[len(box.records) // 2 - 1].number
    await _delete(box, through)
    rest = (await box.ask(racp.from_number(0))).numbers()
    expected = [r.number for r in box.records if r.number > through]
    gone = [n for n in expected if n not in rest]
    want(not gone, f"deleted records {gone[:3]} though asked for those to {through}")
    left = [n for n in rest if n <= through]
    want(not left, f"still has records {left[:3]}, deleted to {through}")
    box.deleted = through


async def _delete(box: Box, through: int) -> None:
    begun = await box.ask(racp.delete_through(through))
    if begun.answer.code == ResponseCode.OPERATOR_NOT_SUPPORTED:
        for record in box.records:
            if record.number <= through:
                _succeeds(await box.ask(racp.DELETE_FIRST))
        return
    _succeeds(begun)


def _succeeds(begun: Procedure) -> None:
    answer = begun.answer
    done = (answer.request, answer.code) == (Opcode.DELETE_STORED, ResponseCode.SUCCESS)
    want(done, f"a deletion is answered by {begun.answers[0].hex()}, want 06 00 02 01")


async def _deletes_by_store(box: Box) -> None:
    if box.deleted is None:
        raise Untested("nothing was deleted")
    store, another = stores(box)
    through = next(r.number for r in box.records if r.number > (box.deleted or 0))
    begun = await box.ask(racp.delete_through(through).of_store(another))
    none = begun.answer.request, begun.answer.code
    said = f"deleting from another store is answered by {begun.answers[0].hex()}"
    want(none == (Opcode.DELETE_STORED, ResponseCode.NO_RECORDS), said)
    rest = racp.from_number(through)
    left = (await box.ask(rest)).numbers()
    want(through in left, f"deleted record {through}, told to in another store")
    _succeeds(await box.ask(racp.delete_through(through).of_store(store)))
    left = (await box.ask(rest)).numbers()
    want(through not in left, f"still has record {through}, deleted in its store")


async def _deletes_nothing_twice(box: Box) -> None:
    if box.deleted is None:
        raise Untested("nothing was deleted")
    begun = await box.ask(racp.delete_through(box.deleted))
    codes = ResponseCode.NO_RECORDS, ResponseCode.OPERATOR_NOT_SUPPORTED
    said = begun.answer.request == Opcode.DELETE_STORED and begun.answer.code in codes
    want(said, f"deleting what is gone is answered by {begun.answers[0].hex()}")


CHANGES = (
    Requirement(
        "C4",
        "Time of a poor source is refused with 0x80, another format with 0x81.",
        _refuses_a_poor_source,
    ),
    Requirement("C5", "The clock can be set, and shows what was written.", _can_be_set),
    Requirement(
        "C6",
        "A jump of its clock is recorded, with new minus old in seconds.",
        _records_the_jump,
    ),
    Requirement(
        "C7", "After a jump the timeline epoch is the next one.", _opens_a_timeline
    ),
    Requirement("C8", "After a jump 2BF2 is indicated.", _tells_the_time),
    Requirement(
        "L3", "A new record is told live, the same as its stored copy.", _tells_live
    ),
    Requirement(
        "D1", "It deletes the records up to a number, and no others.", _deletes_through
    ),
    Requirement(
        "D2",
        "Told to delete what it does not have, it answers: no records found.",
        _deletes_nothing_twice,
    ),
    Requirement("D3", "A new record has a number above all before.", _numbers_on),
    Requirement(
        "D4",
        "Told to delete in a store, it deletes from that one, and from no other.",
        _deletes_by_store,
    ),
)
