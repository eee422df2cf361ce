"""What a meter or glucose sensor has stored, read once whichever link it comes over."""

from collections.abc import Callable, Sequence
from typing import Any

from bleak import BleakClient

from device_bridge import samples, spool
from device_bridge.cgm_session import Session, Sessions, offered
from device_bridge.errors import MalformedRecord
from device_bridge.gatt.cgm import split_readings
from device_bridge.gatt.glucose import decode_glucose
from device_bridge.gatt.uuids import (
    CGM,
    CGM_MEASUREMENT,
    GLUCOSE,
    GLUCOSE_MEASUREMENT,
    RECORD_ACCESS,
    shortened,
)
from device_bridge.intake import Intake
from device_bridge.profiles import sample_decoders
from device_bridge.stored_readings import Split, StoredReadings
from device_bridge.surroundings import Surroundings

HALF, NUMBERS = 1 << 15, 1 << 16


def _one(value: bytes) -> tuple[bytes]:
    decode_glucose(value)
    return (value,)


# Service, characteristic of its records, and how to find the records in a value.
STORES: tuple[tuple[str, str, Split], ...] = (
    (GLUCOSE, GLUCOSE_MEASUREMENT, _one),
    (CGM, CGM_MEASUREMENT, split_readings),
)


class Readings:
    """The stored readings of one service of a device, on one link."""

    def __init__(
        self,
        stored: StoredReadings,
        where: str,
        sessions: Sessions | None,
        intake: Intake,
        around: Surroundings,
        device_id: str,
    ) -> None:
        self._stored = stored
        self._where = where
        self._sessions = sessions
        self._intake = intake
        self._around = around
        self._id = device_id
        self._all_read = False

    async def enable(self) -> None:
        """Enable answers and values."""
        await self._stored.enable()

    async def fetch(self) -> None:
        """Read what has been stored since the newest record that is here.

        That one is read again: if it is no longer there as it was, the memory was
        cleared or numbers anew, and all is read. What was here before is known by name.
        """
        if self._sessions is None:
            await self._fetch(None)
            return
        if not self._around.clock.checked:
            return  # minutes are counted from our clock; the sensor keeps its records
        session = await self._sessions.read()
        if session is not None:
            await self._fetch(session)

    async def _fetch(self, session: Session | None) -> None:
        run, key = self._around.spool.run, f"readings {self._id}"
        newest = _of_session(await run(spool.recall, key), session)
        told = await self._since(newest)
        if self._sessions is not None and await self._sessions.read() != session:
            return  # another began meanwhile: whose minutes these are is not sure
        known = {newest[1]} if newest else set[str]()
        self._intake.session = session
        decode, where = sample_decoders()[self._where], shortened(self._where)
        taken = [
            sample
            for octets in told
            if octets.hex() not in known
            for sample in self._intake.samples(decode, where, octets)
        ]
        await run(samples.add_all, taken)
        await self._intake.settle()
        numbered = [(n, o.hex()) for o in told if (n := self._number(o)) is not None]
        # By an unchecked clock dated samples may yet be dropped: read them again then.
        if numbered and self._around.clock.checked:
            last = max(numbered, key=_behind(newest))
            await run(spool.remember, key, [*last, *_named(session)])

    async def _since(self, newest: list[Any] | None) -> Sequence[bytes]:
        """Return the records behind the newest that is here, and that one; else all."""
        if newest is None:
            return await self._stored.since(None)
        number: int = newest[0]
        told = await self._stored.since(number)
        if newest[1] not in {octets.hex() for octets in told}:
            return await self._stored.since(None)
        if self._sessions is None and number >= HALF:
            told = [*told, *await self._begun_again(number)]
        return told

    async def _begun_again(self, number: int) -> Sequence[bytes]:
        """Return what comes behind the last number of all, which 0 follows."""
        behind = await self._stored.through(number - HALF)
        if behind is not None or self._all_read:
            return behind or ()
        self._all_read = True  # once a link, for it cannot be asked for less
        return await self._stored.since(None)

    def _number(self, octets: bytes) -> int | None:
        try:
            return sample_decoders()[self._where](octets).number
        except MalformedRecord:
            return None


def _named(session: Session | None) -> list[str]:
    return [] if session is None else [session.name]


def _of_session(newest: list[Any] | None, session: Session | None) -> list[Any] | None:
    """Return number and octets of the newest record here if it is of that session."""
    of_it = newest is not None and newest[2:] == _named(session)
    return newest if of_it else None


def _behind(newest: list[Any] | None) -> Callable[[tuple[int, str]], tuple[int, str]]:
    """Return how far numbers are behind the newest, which may have begun again."""
    if newest is None:
        return lambda record: record
    # As serial numbers are compared: RFC 1982, section 3.2.
    return lambda record: ((record[0] - newest[0] + HALF) % NUMBERS, record[1])


def readings_of(
    client: BleakClient,
    device_id: str,
    intake: Intake,
    around: Surroundings,
    told: Callable[[], None],
) -> list[Readings]:
    """Return what a device stores; `told` is called when it has measured again."""
    found = list[Readings]()
    for service, where, split in STORES:
        access = offered(client, service, RECORD_ACCESS)
        values = offered(client, service, where)
        if access is None or values is None:
            continue
        stored = StoredReadings(client, access, values, split, told)
        sessions = Sessions(client, device_id, around) if service == CGM else None
        found.append(Readings(stored, where, sessions, intake, around, device_id))
    return found
