"""Whose a measured value is, and when it was measured: samples, or why there are none.

What is no sample is reported as a device event with its octets, so that nothing that a
device told is lost without a trace.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from device_bridge import spool
from device_bridge.calendar_clock import AHEAD, CalendarReading
from device_bridge.cgm_session import Session
from device_bridge.errors import MalformedRecord
from device_bridge.events import Item, Kind, plain_event
from device_bridge.measurement import Measurement
from device_bridge.profiles import Decode
from device_bridge.samples import Sample
from device_bridge.surroundings import Surroundings

log = logging.getLogger(__name__)

MOST_REPORTS = 20  # of values told on one link; it may go on and on


class Intake:
    """Judges the values of one device on one link.

    `calendar` and `session` are read by the link.
    """

    def __init__(self, device_id: str, around: Surroundings) -> None:
        self.calendar: CalendarReading | None = None
        self.session: Session | None = None
        self.noticed = asyncio.Event()
        self._id = device_id
        self._around = around
        self._user: int | None = None
        self._known_user: int | None = None
        self._reports: list[Item] = []
        self._refused: set[str] = set()
        self._silent: tuple[str, ...] = ()

    async def recall(self) -> None:
        """Learn which of the device's users the patient is."""
        known = await self._around.spool.run(spool.recall, self._user_key)
        self._user = self._known_user = known

    async def settle(self) -> None:
        """Spool what has been noticed."""
        self.noticed.clear()
        reports, self._reports = self._reports, []
        # Once begun it is done, also when the link ends: neither lost nor doubled.
        await asyncio.shield(self._spool(reports))

    def samples(self, decode: Decode, where: str, octets: bytes) -> list[Sample]:
        """Return the samples in one value of a characteristic (16-bit UUID)."""
        try:
            taken = decode(octets)
        except MalformedRecord as error:
            self._refuse(None, where, octets, (error.why,))
            return []
        if taken.momentary and not taken.vitals:
            self._fall_silent(taken.refused)
            return []
        self._silent = ()
        at = self._time_of(taken)
        if isinstance(at, str):
            self._refuse(taken, where, octets, (*taken.refused, at))
            return []
        if taken.refused:
            self._refuse(taken, where, octets, taken.refused)
        return self._samples(taken, at)

    @property
    def _user_key(self) -> str:
        return f"user {self._id}"

    async def _spool(self, reports: Sequence[Item]) -> None:
        run, unchecked = self._around.spool.run, self._around.clock.unchecked
        if self._user != self._known_user:
            self._known_user = self._user
            await run(spool.remember, self._user_key, self._user)
        for item in reports:
            await run(spool.keep_event, item, unchecked)
        if reports:
            self._around.uploader.wake()

    def _fall_silent(self, why: tuple[str, ...]) -> None:
        """Log once that a stream goes on without values, and why."""
        if why != self._silent:
            self._silent = why
            log.info("nothing measured", extra={"device": self._id, "why": why})

    def _time_of(self, taken: Measurement) -> datetime | str:
        """Return when something was measured, or why that is nobody's or undated."""
        if (stranger := self._stranger(taken.user)) is not None:
            return stranger
        if taken.minutes is not None:
            return self._time_in_session(taken.minutes)
        if taken.face is None:
            undated = "from storage, without a time"
            return undated if taken.is_stored else self._around.clock.now
        if self.calendar is None:
            return "stamped by a calendar that cannot be read"
        at = self.calendar.true_time(taken.face, self._around.clock)
        return "stamped in the future: the calendar was set" if at is None else at

    def _time_in_session(self, minutes: int) -> datetime | str:
        if self.session is None:
            return "of a session whose beginning is not known"
        at = self.session.begun + timedelta(minutes=minutes)
        ahead = at - self._around.clock.now > AHEAD
        return "of a minute that is still to come" if ahead else at

    def _stranger(self, user: int | str | None) -> str | None:
        """Return whose value it is, where it is not the patient's.

        The first user whom a device names is the patient.
        """
        if self._user is None and isinstance(user, int):
            self._user = user
            self.noticed.set()
        if self._user is None or user is None or user == self._user:
            return None
        return f"of user {user}, the patient is user {self._user}"

    def _refuse(
        self, taken: Measurement | None, where: str, octets: bytes, why: Sequence[str]
    ) -> None:
        """Report a value that is no vital; one that is told again, once a day.

        A stamped one has the same octets whenever it is told: it is reported once.
        """
        now = self._around.clock.now
        day = (taken and self._stamp(taken)) or f"{now:%Y-%m-%d}"
        name = sha256(f"{where} {octets.hex()} {day}".encode()).hexdigest()[:32]
        is_record = taken is not None and taken.is_stored
        too_many = len(self._refused) >= MOST_REPORTS and not is_record
        if name in self._refused or too_many:
            return
        self._refused.add(name)
        told: Item = {"characteristic": where, "why": ", ".join(why)}
        log.warning("value not used", extra={"device": self._id} | told)
        detail = {**told, "octets": octets.hex()}
        item = plain_event(self._id, Kind.QUARANTINE, now, detail)
        self._reports.append({**item, "id": f"{self._id}:value:{name}"})
        self.noticed.set()

    def _stamp(self, taken: Measurement) -> str | None:
        """Return what the device itself says of when and which, None if it does not."""
        if taken.minutes is not None:
            return self.session and f"{self.session.name} {taken.minutes}"
        if taken.face is None:
            return None
        stamp = f"{taken.face:%Y%m%d%H%M%S}"
        return stamp if taken.number is None else f"{stamp} {taken.number}"

    def _samples(self, taken: Measurement, at: datetime) -> list[Sample]:
        name = self._stamp(taken)
        return [
            Sample(
                device_id=self._id,
                code=vital.code.loinc,
                unit=vital.code.unit,
                at=at,
                value=vital.value,
                unchecked=self._around.clock.unchecked,
                name=name,
            )
            for vital in taken.vitals
        ]
