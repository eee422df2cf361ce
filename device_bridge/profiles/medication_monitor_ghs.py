"""Pill boxes and injectors that speak "Medication Monitor over GHS".

An open profile made of adopted parts: GHS for records, Elapsed Time for the clock,
IEEE 11073-10472 codes for doses, private codes of partition 130 for the rest: see
docs/bridge.md.
"""

from functools import lru_cache
from typing import NamedTuple

from device_bridge.events import DeviceEvent, DoseEvent, Evidence, Kind, Label
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt.elapsed_time import CURRENT_TIMELINE, ElapsedTime
from device_bridge.gatt.ghs import (
    HAS_TIME,
    HAS_TYPE,
    U8,
    U16,
    U32,
    Discrete,
    Events,
    Observation,
    Quantity,
    decode_observation,
)
from device_bridge.gatt.uuids import (
    GENERIC_HEALTH_SENSOR,
    LIVE_OBSERVATIONS,
    STORED_OBSERVATIONS,
)
from device_bridge.profiles import Profile

ATTRIBUTES = {
    mdc.COMPARTMENT: U8,
    mdc.OPENING_DURATION: U32,
    mdc.TIMELINE_EPOCH: U16,
    mdc.STORE: U32,
}
DISPENSED = (mdc.AI_MED_DISPENSED_FIXED, mdc.AI_MED_DISPENSED_VARIABLE)


class StoredRecord(NamedTuple):
    """One record: its stamp, the timeline and store it is of, and what happened.

    `what` is None when the octets are sound and their meaning is not known to us.
    """

    number: int | None
    time: ElapsedTime | None
    epoch: int | None
    what: DoseEvent | DeviceEvent | None
    store: int | None = None


class _Place(NamedTuple):
    """Which compartment it was, and how many seconds that was open."""

    compartment: int | None
    open_s: int | None


# Read when it comes and twice more when it is uploaded: a year of eight devices each.
@lru_cache(maxsize=32_768)
def decode(message: bytes) -> StoredRecord:
    """Return the record in a message that has no record number in front."""
    observation = decode_observation(message)
    told = observation.numbers(ATTRIBUTES)
    place = _Place(told.get(mdc.COMPARTMENT), told.get(mdc.OPENING_DURATION))
    return StoredRecord(
        number=observation.object_id,
        time=observation.time,
        epoch=told.get(mdc.TIMELINE_EPOCH),
        store=told.get(mdc.STORE),
        what=_what(observation, place),
    )


def canonical(message: bytes) -> bytes:
    """Return the message with the current-timeline flag of its stamp cleared.

    A device clears the flag when its clock is set; the record is still the same, and
    its hash must be. Octets too short to have the flag come back as they are.
    """
    if len(message) < 5:
        return message
    flags = int.from_bytes(message[3:5], "little")
    at = 5 + (4 if flags & HAS_TYPE else 0)
    if not flags & HAS_TIME or at >= len(message):
        return message
    return message[:at] + bytes([message[at] & ~CURRENT_TIMELINE]) + message[at + 1 :]


def _what(observation: Observation, place: _Place) -> DoseEvent | DeviceEvent | None:
    match observation.value:
        case Quantity():
            return _quantity(observation, observation.value, place)
        case Discrete(code) if observation.type == mdc.CONTAINER:
            return _container(place, code)
        case Events(codes) if observation.type == mdc.AI_MED_STATUS:
            return _status(codes)
        case _:
            return None


def _quantity(
    observation: Observation, quantity: Quantity, place: _Place
) -> DoseEvent | DeviceEvent | None:
    if observation.type == mdc.CLOCK_SET:
        return _clock_set(quantity)
    prime = observation.type == mdc.PRIME_SHOT
    if not prime and observation.type not in DISPENSED:
        return None
    compartment = place.compartment
    amount, unit = quantity.number.decimal, mdc.UCUM.get(quantity.unit)
    if amount is None:
        label = Label.PRIME if prime else Label.NO_MEASUREMENT
        return DoseEvent(Evidence.DOSE_DELIVERED, label, compartment)
    if amount <= 0 or unit not in mdc.DOSE_UNITS:
        return None
    label = Label.PRIME if prime else None
    return DoseEvent(Evidence.DOSE_DELIVERED, label, compartment, amount, unit)


def _clock_set(quantity: Quantity) -> DeviceEvent | None:
    if quantity.unit != mdc.UNIT_SECOND:
        return None
    moved = quantity.number.decimal
    if moved is None:
        return DeviceEvent(Kind.CLOCK_SET, {"old_minus_new_s": None})
    exponent = moved.as_tuple().exponent
    told_to = 10.0**exponent if isinstance(exponent, int) else 1.0
    detail = {"old_minus_new_s": float(-moved), "uncertainty_s": told_to / 2}
    return DeviceEvent(Kind.CLOCK_SET, detail)


def _container(place: _Place, code: int) -> DoseEvent | DeviceEvent | None:
    if code == mdc.CONTAINER_OPENED:
        return DoseEvent(Evidence.CONTAINER_OPENED, compartment=place.compartment)
    if code != mdc.CONTAINER_CLOSED:
        return None
    known = {"compartment": place.compartment, "open_s": place.open_s}
    detail = {name: value for name, value in known.items() if value is not None}
    return DeviceEvent(Kind.CONTAINER_CLOSED, detail)


def _status(codes: tuple[int, ...]) -> DeviceEvent | None:
    if mdc.EVENT_FAILED in codes:
        return DeviceEvent(Kind.FAULT)
    if mdc.BATTERY_LOW in codes:
        return DeviceEvent(Kind.BATTERY_LOW)
    return None


PROFILE = Profile(
    name="medication monitor over GHS",
    matches=lambda services: GENERIC_HEALTH_SENSOR in services,
    decoders={STORED_OBSERVATIONS: decode, LIVE_OBSERVATIONS: decode},
    stores_records=True,
    canonical=canonical,
)
