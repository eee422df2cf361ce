"""The device's clock: can it date a record?"""

import asyncio

from device_bridge.check.box import Box
from device_bridge.check.requirement import Requirement, want
from device_bridge.gatt.elapsed_time import ElapsedTime, decode_elapsed_time
from device_bridge.gatt.uuids import CURRENT_ELAPSED_TIME

WHOLE = 11  # octets of 2BF2 as it is read
WATCHED = 1.5  # seconds
SLACK = 1.1  # seconds: one of resolution


async def read_clock(box: Box) -> ElapsedTime:
    """Return what 2BF2 says; raises MalformedRecord."""
    return decode_elapsed_time(await box.read(CURRENT_ELAPSED_TIME))


async def _has_a_clock(box: Box) -> None:
    octets = await box.read(CURRENT_ELAPSED_TIME)
    want(len(octets) == WHOLE, f"2BF2 has {len(octets)} octets, want {WHOLE}")
    shown = decode_elapsed_time(octets)
    want(not shown.tick_counter, "2BF2 is a tick counter: it says no time of day")
    want(shown.current_timeline, "2BF2 is not marked as of the present timeline (b5)")


async def _tells_its_zone(box: Box) -> None:
    shown = await read_clock(box)
    told = shown.is_utc or shown.offset_used
    want(told, "2BF2 is neither UTC nor does it tell its offset")


async def _runs(box: Box) -> None:
    time = asyncio.get_running_loop().time
    asked, first, answered = time(), await read_clock(box), time()
    await asyncio.sleep(WATCHED)
    asked_again, second, answered_again = time(), await read_clock(box), time()
    unit = first.resolution.microseconds / 1e6
    moved = (second.value - first.value) * unit
    least, most = asked_again - answered, answered_again - asked
    want(moved > 0, f"it stood still for {least:.1f} s")
    runs = least - SLACK <= moved <= most + SLACK
    want(runs, f"it moved by {moved:.1f} s in {least:.1f} to {most:.1f} s")


CLOCK = (
    Requirement(
        "C1",
        "2BF2 reads as eleven octets of time of day, marked present.",
        _has_a_clock,
    ),
    Requirement("C2", "The time is UTC, or tells its offset.", _tells_its_zone),
    Requirement("C3", "The clock runs, a second a second.", _runs),
)
