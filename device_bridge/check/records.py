"""Stored records: do they say what the profile wants of them?"""

from collections.abc import Callable
from itertools import pairwise

from device_bridge.check.box import Box, Stored, stored
from device_bridge.check.requirement import Requirement, Untested, want
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt import racp, uuids
from device_bridge.gatt.control import decode_features
from device_bridge.gatt.ghs import U16, U32, Discrete, Events, Observation, Quantity
from device_bridge.profiles.medication_monitor_ghs import DISPENSED, canonical

DOSE_UNITS = {mdc.UNIT_DIMENSIONLESS, mdc.UNIT_INTERNATIONAL, 0x0652, 0x06D2}
CONTAINER_CODES = {mdc.CONTAINER_OPENED, mdc.CONTAINER_CLOSED}
STATUS_CODES = {mdc.BATTERY_LOW, mdc.EVENT_FAILED}
SPECIALISATION = (mdc.MEDICATION_MINDER, 1)


def _read(box: Box) -> list[tuple[Stored, Observation]]:
    if not box.records:
        raise Untested("it has no stored record")
    return [(r, r.observation) for r in box.records if r.observation is not None]


def _none(found: list[int], what: str) -> None:
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    want(not found, f"{what}: {', '.join(map(str, found[:3]))}{more}")


async def _are_observations(box: Box) -> None:
    _read(box)
    unread = [r.number for r in box.records if r.observation is None]
    _none(unread, "records that are no observation")


async def _have_number_and_time(box: Box) -> None:
    read = _read(box)
    lacking = [r.number for r, said in read if not (said.type and said.time)]
    _none(lacking, "records without type or time")
    other = [r.number for r, said in read if said.object_id != r.number]
    _none(other, "records whose object id is not their number")


async def _are_numbered_without_gaps(box: Box) -> None:
    _read(box)
    numbers = [record.number for record in box.records]
    breaks = [b for a, b in pairwise(numbers) if b != a + 1]
    _none(breaks, "numbers that do not follow on the one before")
    want(numbers[0] > 0, "a record is numbered 0")


def _quantity(units: set[int]) -> Callable[[Observation], bool]:
    return lambda said: isinstance(said.value, Quantity) and said.value.unit in units


def _is_container(said: Observation) -> bool:
    return isinstance(said.value, Discrete) and said.value.code in CONTAINER_CODES


def _is_status(said: Observation) -> bool:
    return isinstance(said.value, Events) and bool(STATUS_CODES & set(said.value.codes))


FORMS: dict[int, Callable[[Observation], bool]] = {
    mdc.CONTAINER: _is_container,
    mdc.AI_MED_STATUS: _is_status,
    mdc.CLOCK_SET: _quantity({mdc.UNIT_SECOND}),
    mdc.PRIME_SHOT: _quantity(DOSE_UNITS),
    **{code: _quantity(DOSE_UNITS) for code in DISPENSED},
}


async def _mean_something(box: Box) -> None:
    read = _read(box)
    unknown = [r.number for r, said in read if said.type not in FORMS]
    _none(unknown, "records of a type that the profile does not know")
    wrong = [r.number for r, said in read if not FORMS[said.type or 0](said)]
    _none(wrong, "records whose value is not of the form of their type")


async def _name_their_timeline(box: Box) -> None:
    lacking = [r.number for r, said in _read(box) if _epoch(said) is None]
    _none(lacking, "records without timeline epoch 0xF111")


async def _name_their_store(box: Box) -> None:
    read = _read(box)
    lacking = [r.number for r, said in read if _store(said) is None]
    _none(lacking, "records without store 0xF113")
    store = _store(read[-1][1])
    other = [r.number for r, said in read if _store(said) != store]
    _none(other, f"records of another store than {store}, the newest record's")


def _store(said: Observation) -> int | None:
    return said.unsigned(mdc.STORE, U32)


def _epoch(said: Observation) -> int | None:
    return said.unsigned(mdc.TIMELINE_EPOCH, U16)


async def _mark_the_present_timeline(box: Box) -> None:
    read = _read(box)
    # What begins a timeline is recorded: the newest record is of the present one.
    present = _epoch(read[-1][1]) if read else None
    wrong = [
        r.number
        for r, said in read
        if said.time and said.time.current_timeline is not (_epoch(said) == present)
    ]
    _none(wrong, f"records whose b5 does not fit epoch {present}, the newest record's")


async def _are_the_same_twice(box: Box) -> None:
    _read(box)
    before = {r.number: canonical(r.message) for r in box.records}
    first, last = box.records[0].number, box.records[-1].number
    again = await box.ask(racp.within(first, last))
    after = {r.number: canonical(r.message) for r in map(stored, again.messages()[0])}
    changed = [n for n, message in before.items() if after.get(n) != message]
    _none(changed, "records that are not the same when they are read again")


async def _are_announced(box: Box) -> None:
    features = decode_features(await box.read(uuids.HEALTH_FEATURES))
    announced = set(features.types)
    want(announced & set(DISPENSED), "2BF3 announces neither 130::13312 nor 13313")
    special = SPECIALISATION in (features.specialisations or ())
    want(special, "2BF3 does not say that it is a medication monitor, 4168 version 1")
    told = {r.observation.type for r in box.records if r.observation}
    hidden = {f"{code:#x}" for code in told - announced if code}
    want(not hidden, f"records of types that 2BF3 does not announce: {hidden}")


RECORDS = (
    Requirement("R1", "Each stored record is a GHS observation.", _are_observations),
    Requirement(
        "R2",
        "Each has type, time stamp, and its record number as object id.",
        _have_number_and_time,
    ),
    Requirement(
        "R3",
        "Record numbers rise by one from the first stored to the last.",
        _are_numbered_without_gaps,
    ),
    Requirement(
        "R4", "Each is of a type of this profile, in its form.", _mean_something
    ),
    Requirement("R5", "Each states its timeline epoch.", _name_their_timeline),
    Requirement(
        "R6",
        "Flag b5 of the time marks the records of the present timeline, no others.",
        _mark_the_present_timeline,
    ),
    Requirement("R7", "Read again, a record has the same octets.", _are_the_same_twice),
    Requirement(
        "R8",
        "2BF3 announces the types of its records, and a medication monitor.",
        _are_announced,
    ),
    Requirement(
        "R9", "Each names the store that it is of, all the same.", _name_their_store
    ),
)
