"""A pen's store of doses in IEEE 11073-20601: configuration, segments, records."""

from dataclasses import dataclass

from device_bridge.gatt.fields import Fields, own_fields
from device_bridge.gatt.ieee11073 import read_float
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.reader import Reader
from device_bridge.makers.apdu_attributes import read_attributes

CONFIGURATION, SEGMENT_DATA = 3356, 3361  # types of event reports
GET_INFO, TRIGGER_TRANSFER = 0x0C0D, 0x0C1C
ACTIONS = {
    0x0C0C: "segment_clear",
    GET_INFO: "segment_get_info",
    0x0C17: "set_time",
    TRIGGER_TRANSFER: "segment_trigger_transfer",
}
BY_LIST = 2  # of the ways to select segments; 1 is all of them
DOSE_SIZE = 12


@dataclass(frozen=True, slots=True)
class DoseRecord:
    """One record of a pen: when on its own clock, and what it dispensed.

    `dose` without a number is no measurement: something happened, an amount is not
    known. `status` is 130::13314 as sent, `vendor_status` 130::0xF000.
    """

    seconds: int
    dose: Measured
    status: int
    vendor_status: int

    def fields(self) -> Fields:
        """Return the fields, the time with its unit."""
        shown = own_fields(self)
        return {"time": Measured(shown.pop("seconds"), "s")} | shown


def read_objects(reader: Reader) -> list[Fields]:
    """Return the objects of a configuration."""
    count = reader.unsigned(2)
    listed = reader.part(reader.unsigned(2))
    found: list[Fields] = [
        {"class": listed.unsigned(2), "handle": listed.unsigned(2)}
        | read_attributes(listed)
        for _ in range(count)
    ]
    listed.end()
    return found


def _dose(reader: Reader) -> DoseRecord:
    seconds = reader.unsigned(4)
    dose = Measured.of(read_float(reader), "[iU]")
    return DoseRecord(seconds, dose, reader.unsigned(2), reader.unsigned(2))


def read_segment_data(reader: Reader) -> Fields:
    """Return a block of records, newest first; their layout is that of NovoPen."""
    block: Fields = {
        "segment": reader.unsigned(2),
        "first_index": reader.unsigned(4),
        "count": reader.unsigned(4),
        "segment_status": reader.unsigned(2),
    }
    size, count = reader.unsigned(2), block["count"]
    if size != count * DOSE_SIZE or size != reader.left:
        raise reader.malformed(f"{count} doses in {size} of {reader.left} octets")
    return block | {"doses": [_dose(reader) for _ in range(count)]}


def read_action_request(reader: Reader, action: int) -> Fields:
    """Return what an action is to be done to."""
    if action == TRIGGER_TRANSFER:
        return {"segment": reader.unsigned(2)}
    if action != GET_INFO:
        data = reader.octets(reader.left)
        return {"data": data} if data else {}
    choice = reader.unsigned(2)
    selection = reader.part(reader.unsigned(2))
    if choice != BY_LIST:
        return {}
    count = selection.unsigned(2)
    listed = selection.part(selection.unsigned(2))
    return {"segments": [listed.unsigned(2) for _ in range(count)]}


def read_action_answer(reader: Reader, action: int) -> Fields:
    """Return what an action found or did."""
    if action == TRIGGER_TRANSFER:
        return {"segment": reader.unsigned(2), "result": reader.unsigned(2)}
    if action != GET_INFO:
        data = reader.octets(reader.left)
        return {"data": data} if data else {}
    count = reader.unsigned(2)
    listed = reader.part(reader.unsigned(2))
    segments = [
        {"instance": listed.unsigned(2)} | read_attributes(listed) for _ in range(count)
    ]
    listed.end()
    return {"segments": segments}
