"""When the session of a glucose sensor began, and what the sensor says of itself.

A reading tells the minutes since then. The beginning is what somebody wrote to it,
with zone and daylight saving time, where that agrees with the sensor's own count of
minutes; else it is what that count gives, kept for the session. Nothing is written: the
sensor is its wearer's, and some app of theirs has started it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakGATTProtocolError

from device_bridge import spool
from device_bridge.bonding import bonded
from device_bridge.errors import LostPeripheral, MalformedRecord
from device_bridge.events import Kind
from device_bridge.gatt.cgm import (
    SensorStatus,
    SessionStart,
    decode_sensor_feature,
    decode_sensor_status,
    decode_session_start,
)
from device_bridge.gatt.uuids import CGM, CGM_FEATURE, CGM_SESSION_START, CGM_STATUS
from device_bridge.measurement import face_of
from device_bridge.surroundings import Surroundings

log = logging.getLogger(__name__)

# Two counts of the same session: whole minutes, and 100 ppm in three weeks.
NEAR = timedelta(minutes=5)
HALF_A_MINUTE = timedelta(seconds=30)  # a count of whole minutes is half of one behind
STOPPED = "session_stopped"
FAULTS = (
    *(STOPPED, "sensor_type_incorrect", "sensor_malfunction"),
    *("device_specific_alert", "general_fault"),
)
BATTERY = "battery_low"
Kept = dict[str, str]


@dataclass(frozen=True, slots=True)
class Session:
    """When a session began; `name` tells it from the sensor's others."""

    name: str
    begun: datetime


class Sessions:
    """The sessions of one sensor, as it is asked on one link."""

    def __init__(
        self, client: BleakClient, device_id: str, around: Surroundings
    ) -> None:
        self._client = client
        self._id = device_id
        self._around = around
        self._checked: bool | None = None

    async def read(self) -> Session | None:
        """Return the present session; None if nobody can say when it began.

        What the sensor newly says of its state is reported. Raises LostPeripheral when
        its answers cannot be read.
        """
        try:
            if self._checked is None:
                feature = decode_sensor_feature(await self._value(CGM_FEATURE))
                self._checked = feature.crc_checked
            start = decode_session_start(await self._value(CGM_SESSION_START))
            before = self._around.clock.now
            status = decode_sensor_status(await self._value(CGM_STATUS))
            after = self._around.clock.now
        except (MalformedRecord, BleakGATTProtocolError) as error:
            raise LostPeripheral(self._client.address, str(error)) from error
        if not start.crc_present == status.crc_present == self._checked:
            why = "has a CRC where none is announced, or none where one is"
            raise LostPeripheral(self._client.address, why)
        await self._report(status.status)
        return await self._session(start, status, before + (after - before) / 2)

    async def _value(self, uuid: str) -> bytes:
        where = offered(self._client, CGM, uuid)
        if where is None:
            raise LostPeripheral(self._client.address, "lacks a part of its service")
        return bytes(
            await bonded(self._client, lambda: self._client.read_gatt_char(where))
        )

    async def _session(
        self, start: SessionStart, status: SensorStatus, at: datetime
    ) -> Session | None:
        """Return the session that the sensor's count of minutes shows to be present."""
        run, face = self._around.spool.run, face_of(start.start)
        shown = "" if face is None else f"{face:%Y%m%d%H%M%S}"
        kept: Kept | None = await run(spool.recall, self._key)
        known = None
        if kept is not None:
            known = Session(kept["name"], datetime.fromisoformat(kept["begun"]))
        if STOPPED in status.status:
            # Its count stands still, and says nothing any more.
            same, begun = kept is not None and kept["shown"] == shown, _stated(start)
        else:
            minutes = timedelta(minutes=int(status.time_offset.value or 0))
            counted = at - minutes - HALF_A_MINUTE
            same = known is not None and _near(known.begun, counted)
            begun = _agreed(_stated(start), counted)
        if same and known is not None:
            session = known
        elif begun is None:
            return None
        else:
            session = Session(shown or f"counted {begun:%Y%m%d%H%M%S}", begun)
        await self._keep(kept, session, shown)
        return session

    async def _keep(self, kept: Kept | None, session: Session, shown: str) -> None:
        """Remember a session, and what start it shows: that may be written again."""
        begun = session.begun.isoformat()
        present = {"name": session.name, "begun": begun, "shown": shown}
        if present != kept:
            await self._around.spool.run(spool.remember, self._key, present)
            log.info("sensor session", extra={"device": self._id, "begun": begun})

    @property
    def _key(self) -> str:
        return f"session {self._id}"

    async def _report(self, status: Sequence[str]) -> None:
        """Report what was not so when the sensor was asked before."""
        run, key = self._around.spool.run, f"sensor status {self._id}"
        now = [flag for flag in status if flag in (*FAULTS, BATTERY)]
        before: list[str] = await run(spool.recall, key) or []
        if now == before:
            return
        new = [flag for flag in now if flag not in before]
        if faults := [flag for flag in new if flag != BATTERY]:
            await self._around.report(self._id, Kind.FAULT, {"why": ", ".join(faults)})
        if BATTERY in new:
            await self._around.report(self._id, Kind.BATTERY_LOW, {})
        await run(spool.remember, key, now)


def offered(
    client: BleakClient, service: str, uuid: str
) -> BleakGATTCharacteristic | None:
    """Return a characteristic of a service, None where it is not offered."""
    found = client.services.characteristics.values()
    return next((c for c in found if (c.service_uuid, c.uuid) == (service, uuid)), None)


def _stated(start: SessionStart) -> datetime | None:
    """Return the instant that was written to the sensor; None without date or zone."""
    face = face_of(start.start)
    zone, summer = start.time_zone.value, start.dst_offset.value
    if face is None or zone is None or summer is None:
        return None
    return (face - timedelta(minutes=int(zone) + int(summer))).astimezone(UTC)


def _agreed(stated: datetime | None, counted: datetime) -> datetime:
    """Return what was written, if the count of minutes bears it out, else the count."""
    if stated is None:
        return counted
    if _near(stated, counted):
        return stated
    off = (stated - counted).total_seconds()
    log.warning("session start does not fit its minutes", extra={"off_s": off})
    return counted


def _near(one: datetime, other: datetime) -> bool:
    return abs(one - other) <= NEAR
