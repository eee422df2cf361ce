"""A virtual heart-rate wearable: notifications, no memory."""

from datetime import datetime
from random import Random

from bumble.device import Connection

from device_bridge.clock import DomainClock
from device_bridge.gatt import uuids
from device_bridge.gatt.heart_rate import encode_heart_rate
from device_bridge.virtual.plan import HeartRatePlan, PlannedDevice
from device_bridge.virtual.recorder import Recorder, battery_at
from device_bridge.virtual.server import (
    NOTIFY,
    READ,
    GattDevice,
    advertisement,
)

ASLEEP_FROM, ASLEEP_UNTIL = 23, 7  # hours of the day
LOWEST, HIGHEST = 25, 240
WRIST = 2


def beats_at(plan: HeartRatePlan, serial: str, at: datetime) -> int:
    """Return beats per minute at a domain instant, the same whenever it is asked."""
    asleep = at.hour >= ASLEEP_FROM or at.hour < ASLEEP_UNTIL
    level = plan.sleep if asleep else plan.base
    level += sum(delta for since, delta in plan.steps if since <= at)
    noise = Random(f"{serial} {at:%Y%m%d%H%M%S}").gauss(0, plan.noise)  # noqa: S311
    return round(min(HIGHEST, max(LOWEST, level + noise)))


def seconds_between_beats(clock: DomainClock) -> float:
    """Return real seconds between notifications.

    One a second as a chest strap does; in a demo that runs fast, at most two a second.
    """
    return 1.0 if clock.speed <= 1 else max(1.0 / clock.speed, 0.5)


class Wearable:
    """One wearable: tells whoever listens."""

    def __init__(self, gatt: GattDevice, recorder: Recorder) -> None:
        self.gatt = gatt
        self.recorder = recorder
        make = gatt.characteristic
        gatt.add(
            uuids.HEART_RATE_SERVICE,
            [
                make(uuids.HEART_RATE_MEASUREMENT, NOTIFY),
                make(uuids.short(0x2A38), READ, read=lambda _: bytes([WRIST])),
            ],
        )

    @property
    def plan(self) -> PlannedDevice:
        return self.recorder.plan

    @property
    def advertising_data(self) -> bytes:
        return advertisement([uuids.HEART_RATE_SERVICE], None)

    def linked(self, connection: Connection) -> None:
        """Note a new link."""
        del connection  # nothing is kept for a link

    def unlinked(self, connection: Connection) -> None:
        """Forget a link."""
        del connection

    def next_due(self) -> float | None:
        """Return the real seconds until the next beat is told."""
        return seconds_between_beats(self.recorder.clock) if self._links() else None

    async def act(self) -> None:
        """Tell the heart rate now."""
        if self.plan.heart_rate is None:
            return
        at = self.recorder.now
        value = encode_heart_rate(beats_at(self.plan.heart_rate, self.plan.serial, at))
        for connection in self._links():
            await self.gatt.notify(connection, uuids.HEART_RATE_MEASUREMENT, value)

    def battery(self) -> int:
        """Return the charge in percent."""
        return battery_at(self.plan, self.recorder.now)

    def _links(self) -> list[Connection]:
        return self.gatt.connections
