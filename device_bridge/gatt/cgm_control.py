"""CGM Specific Ops Control Point 2AAC: requests written and answers indicated.

Every operation code belongs to one direction, so none has to be told.
"""

from collections.abc import Callable

from device_bridge.gatt.cgm import check_crc
from device_bridge.gatt.coded import named_bits, numbered
from device_bridge.gatt.fields import Fields
from device_bridge.gatt.glucose import read_type_and_location
from device_bridge.gatt.measured import Measured, sfloat
from device_bridge.gatt.reader import Reader

CALIBRATION_STATUS = numbered(("rejected", "out_of_range", "pending"))
# Setting, asking for and answering a level have consecutive codes.
ALERTS = {
    7: ("patient_high_alert", "mg/dL"),
    10: ("patient_low_alert", "mg/dL"),
    13: ("hypo_alert", "mg/dL"),
    16: ("hyper_alert", "mg/dL"),
    19: ("rate_of_decrease_alert", "mg/dL/min"),
    22: ("rate_of_increase_alert", "mg/dL/min"),
}
RESET_ALERT, START_SESSION, STOP_SESSION, RESPONSE_CODE = 25, 26, 27, 28

Operand = Callable[[Reader], Fields]


def _nothing(_: Reader) -> Fields:
    return {}


def _interval(reader: Reader) -> Fields:
    return {"communication_interval": Measured(reader.unsigned(1), "min")}


def _record_number(reader: Reader) -> Fields:
    return {"record_number": reader.unsigned(2)}


def _calibration(reader: Reader) -> Fields:
    glucose = sfloat(reader, "mg/dL")
    at = Measured(reader.unsigned(2), "min")
    kind, location = read_type_and_location(reader)
    return {
        "glucose": glucose,
        "calibration_time": at,
        "type": kind,
        "location": location,
        "next_calibration_time": Measured(reader.unsigned(2), "min"),
        "record_number": reader.unsigned(2),
        "status": named_bits(reader.unsigned(1), CALIBRATION_STATUS),
    }


def _level(name: str, unit: str) -> Operand:
    return lambda reader: {name: sfloat(reader, unit)}


def _response(reader: Reader) -> Fields:
    return {"request_opcode": reader.unsigned(1), "response_code": reader.unsigned(1)}


def _of_alerts() -> dict[int, Operand]:
    levels = {first: _level(name, unit) for first, (name, unit) in ALERTS.items()}
    asked = {first + 1: _nothing for first in ALERTS}
    return levels | asked | {first + 2: read for first, read in levels.items()}


OPERANDS: dict[int, Operand] = {
    1: _interval,
    2: _nothing,
    3: _interval,
    4: _calibration,
    5: _record_number,
    6: _calibration,
    **_of_alerts(),
    RESET_ALERT: _nothing,
    START_SESSION: _nothing,
    STOP_SESSION: _nothing,
    RESPONSE_CODE: _response,
}


def decode_cgm_control(payload: bytes) -> Fields:
    """Return the operation and its operand by name; unknown codes are malformed."""
    reader = Reader("CGM specific ops control point", payload)
    opcode = reader.unsigned(1)
    if opcode not in OPERANDS:
        raise reader.malformed(f"unknown operation {opcode}")
    operand = OPERANDS[opcode](reader)
    return {"opcode": opcode} | operand | {"crc_present": check_crc(reader)}
