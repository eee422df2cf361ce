"""The calendar of a device that keeps local time, beside ours.

Thermometers, cuffs, scales and meters stamp what they measure by a calendar that the
patient set. It says no zone and nobody may set it to UTC, for the patient reads it. So
it is never set, but read: what it shows beside true time is zone and error in one.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakGATTProtocolError

from device_bridge.bonding import bonded
from device_bridge.clock import Clock
from device_bridge.errors import MalformedRecord
from device_bridge.gatt.date_time import decode_current_time, decode_date_time
from device_bridge.gatt.uuids import CURRENT_TIME, DATE_TIME
from device_bridge.measurement import face_of

log = logging.getLogger(__name__)

# A calendar of whole seconds and a slow answer; beyond, the device was set meanwhile.
AHEAD = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class CalendarReading:
    """A calendar beside our clock: what it shows minus true time, zone included.

    Uncertain by its second and half the time that the answer took. `unchecked`: see
    there.
    """

    offset: timedelta
    unchecked: str | None

    def true_time(self, face: datetime, clock: Clock) -> datetime | None:
        """Return when the calendar showed `face`, None if it was set since then."""
        offset = self.offset
        if self.unchecked is not None and clock.checked:
            offset -= timedelta(seconds=clock.shift_s)
        now = clock.now
        try:
            at = face - offset
        except OverflowError:
            return None
        return None if at - now > AHEAD else min(at, now)


async def read_calendar(client: BleakClient, clock: Clock) -> CalendarReading | None:
    """Return the calendar's reading; None for a device that shows none, or no date."""
    where = _readable(client, CURRENT_TIME) or _readable(client, DATE_TIME)
    if where is None:
        return None
    unchecked, before = clock.unchecked, clock.now
    try:
        value = bytes(await bonded(client, lambda: client.read_gatt_char(where)))
        after = clock.now
        face = face_of(
            decode_current_time(value).date_time
            if where.uuid == CURRENT_TIME
            else decode_date_time(value)
        )
    except (BleakGATTProtocolError, MalformedRecord) as error:
        log.info("calendar unreadable", extra={"why": str(error)})
        return None
    if unchecked != clock.unchecked:
        return await read_calendar(client, clock)  # ours was put right meanwhile
    if face is None:
        return None
    return CalendarReading(face - (before + (after - before) / 2), unchecked)


def _readable(client: BleakClient, uuid: str) -> BleakGATTCharacteristic | None:
    """Return a characteristic; several services may have one of a kind."""
    offered = client.services.characteristics.values()
    return next((c for c in offered if c.uuid == uuid and "read" in c.properties), None)
