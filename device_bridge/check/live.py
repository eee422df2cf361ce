"""Live observations and battery."""

import asyncio
from typing import Any

from device_bridge.check.box import ANSWER_WITHIN, Box
from device_bridge.check.requirement import Broken, Requirement, want
from device_bridge.gatt.battery import decode_battery
from device_bridge.gatt.control import Control
from device_bridge.gatt.uuids import (
    BATTERY_LEVEL,
    GENERIC_HEALTH_SENSOR,
    GHS_CONTROL,
    LIVE_OBSERVATIONS,
)

FAR = 5  # percent between hint and level: they need not be of one moment


async def control(box: Box, code: int) -> bytes:
    """Return what the control point indicates; raises Broken without an answer."""
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    def told(_: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        answers.put_nowait(bytes(value))

    await box.client.start_notify(GHS_CONTROL, told)
    try:
        if refused := await box.write(GHS_CONTROL, bytes([code])):
            raise Broken(f"2BF4 refuses {code:#04x} with ATT error {refused:#04x}")
        async with asyncio.timeout(ANSWER_WITHIN):
            return await answers.get()
    except TimeoutError:
        raise Broken(f"2BF4 does not answer {code:#04x}") from None
    finally:
        await box.client.stop_notify(GHS_CONTROL)


async def _starts_and_stops(box: Box) -> None:
    await box.client.start_notify(LIVE_OBSERVATIONS, lambda _a, _b: None)
    for code in (Control.START_LIVE, Control.STOP_LIVE):
        answer = await control(box, code)
        done = answer == bytes([Control.SUCCESS])
        want(done, f"2BF4 answers {answer.hex()} to {code:02x}, want 80")
    await box.client.stop_notify(LIVE_OBSERVATIONS)


async def _refuses_unknown_codes(box: Box) -> None:
    code = await box.write(GHS_CONTROL, b"\x7f")
    want(code, "2BF4 takes the unknown code 7f")


async def _tells_its_charge(box: Box) -> None:
    percent = decode_battery(await box.read(BATTERY_LEVEL))
    hint = box.advertised.service_data.get(GENERIC_HEALTH_SENSOR, b"")
    if len(hint) > FAR:
        apart = abs(hint[5] - percent)
        want(apart <= FAR, f"battery {percent} percent, advertised as {hint[5]}")


LIVE = (
    Requirement(
        "L1",
        "Live observations start and stop when they are told to.",
        _starts_and_stops,
    ),
    Requirement(
        "L2", "The control point refuses an unknown code.", _refuses_unknown_codes
    ),
    Requirement(
        "B1", "The battery level is 0 to 100, as it is advertised.", _tells_its_charge
    ),
)
