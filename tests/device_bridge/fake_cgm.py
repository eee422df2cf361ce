"""A glucose sensor as bleak shows it: the minutes of a session, and a memory."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bleak.backends.characteristic import BleakGATTCharacteristic

from device_bridge.gatt.checksums import mcrf4xx
from device_bridge.gatt.uuids import (
    CGM_FEATURE,
    CGM_SESSION_START,
    CGM_STATUS,
    shortened,
)
from tests.device_bridge.fake_meter import ACCESS, FakeMeter
from tests.device_bridge.fake_sensor import READ, date_time
from tests.device_bridge.stories import now

CGM_SERVICE, CGM_MEASUREMENT = 0x181F, 0x2AA7
E2E_CRC = 1 << 12
INTERSTITIAL, UNKNOWN = 0x59, 0x80
MINUTE = timedelta(minutes=1)
STOPPED, BATTERY, MALFUNCTION = 0x01, 0x02, 0x08


def checked(octets: bytes) -> bytes:
    """Return octets with their E2E-CRC behind them."""
    return octets + mcrf4xx(octets).to_bytes(2, "little")


def a_glucose(
    minutes: int, mass: int = 100, status: int = 0, *, crc: bool = False
) -> bytes:
    """Return the record of `mass` mg/dL, with a status octet if there is a status."""
    size = 6 + bool(status) + 2 * crc
    flags = 0x80 if status else 0
    head = bytes([size, flags]) + mass.to_bytes(2, "little")
    octets = head + minutes.to_bytes(2, "little") + (bytes([status]) if status else b"")
    return checked(octets) if crc else octets


@dataclass
class FakeCgm(FakeMeter):
    """A sensor; the session `began` a while ago, whatever was written to it."""

    tells: tuple[int, ...] = (CGM_MEASUREMENT, ACCESS)
    service: int = CGM_SERVICE
    calendar: int | None = None
    measurement: int = CGM_MEASUREMENT
    began: datetime = field(default_factory=lambda: now() - 600 * MINUTE)
    written: datetime | None = None
    zone: int = 4  # quarters of an hour
    summer: int = 4  # daylight saving time, an hour
    status: int = 0
    crc: bool = False
    announces_crc: bool | None = None  # None: as it is
    stands_at: int | None = None  # minutes

    def __post_init__(self) -> None:
        super().__post_init__()
        (service,) = self.services.services.values()
        for handle, uuid in enumerate((CGM_FEATURE, CGM_STATUS, CGM_SESSION_START), 90):
            made = BleakGATTCharacteristic(
                None, handle, uuid, READ, lambda: 20, service
            )
            self.services.add_characteristic(made)
        self.written = self.began

    @property
    def minutes(self) -> int:
        """Return how long the session has gone on."""
        if self.stands_at is not None:
            return self.stands_at
        return (now() - self.began) // MINUTE

    def begins(self, began: datetime) -> None:
        """Begin another session."""
        self.began = self.written = began
        self.records.clear()

    def measures(self, minutes: int, mass: int = 100, status: int = 0) -> bytes:
        """Store a reading and return it."""
        record = a_glucose(minutes, mass, status, crc=self.crc)
        self.records[minutes] = record
        return record

    async def read_gatt_char(self, which: BleakGATTCharacteristic | str) -> bytearray:
        uuid = which if isinstance(which, str) else which.uuid
        known = {
            CGM_FEATURE: self._feature,
            CGM_STATUS: self._status,
            CGM_SESSION_START: self._start,
        }
        if uuid not in known:
            return await super().read_gatt_char(which)
        self.reads.append(shortened(uuid))
        return bytearray(known[uuid]())

    def _feature(self) -> bytes:
        announced = self.crc if self.announces_crc is None else self.announces_crc
        bits = E2E_CRC if announced else 0
        octets = bits.to_bytes(3, "little") + bytes([INTERSTITIAL])
        return checked(octets) if announced else octets + b"\xff\xff"

    def _status(self) -> bytes:
        return self._said(
            self.minutes.to_bytes(2, "little") + bytes([self.status, 0, 0])
        )

    def _start(self) -> bytes:
        if self.written is None:
            return self._said(bytes(7) + bytes([UNKNOWN, 0xFF]))
        known = self.zone != UNKNOWN
        ahead = (
            timedelta(minutes=15 * (self.zone + self.summer)) if known else 0 * MINUTE
        )
        face = date_time(self.written + ahead)
        return self._said(face + bytes([self.zone, self.summer if known else 0xFF]))

    def _said(self, octets: bytes) -> bytes:
        return checked(octets) if self.crc else octets
