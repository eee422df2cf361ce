"""Every value that can be decoded, by characteristic, with the names people give it.

The field names are those of the published test vectors. A new characteristic is a total
function (a value or MalformedRecord) and a line here.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from device_bridge.errors import BadInput, MalformedRecord
from device_bridge.gatt import (
    battery,
    blood_pressure,
    cgm,
    control,
    date_time,
    device_information,
    glucose,
    heart_rate,
    pulse_oximeter,
    racp,
    segments,
    thermometer,
    weight_scale,
)
from device_bridge.gatt.cgm_control import decode_cgm_control
from device_bridge.gatt.elapsed_time import decode_elapsed_time
from device_bridge.gatt.fields import Fields, as_fields
from device_bridge.gatt.ghs import decode_observation, decode_stored
from device_bridge.gatt.ieee11073 import Number, decode_float, decode_sfloat
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.uuids import shortened
from device_bridge.makers import dexcom, inpen, nfc
from device_bridge.makers.novopen import decode_pen

Context = Mapping[str, Any]
Read = Callable[[Sequence[bytes], Context], object]
TO_SERVER, TO_CLIENT = "client_to_server", "server_to_client"
TO_READER = "card_to_reader"
OPERAND_WIDTHS: dict[str, racp.Width] = {"1808": 2, "181f": 2, "1840": 4}
FIRST_PENS = 2000
INPEN = "-bc3f-493c-af8d-ae9824f583c6"


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A kind of value: its 16-bit UUID or a short name, its full name, other names."""

    key: str
    name: str
    read: Read
    others: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Return all names, in small letters."""
        also = (f"0x{self.key}", f"{self.name} 0x{self.key}")
        return tuple(n.lower() for n in (self.key, self.name, *also, *self.others))


def _one(decode: Callable[[bytes], object]) -> Read:
    return _told(lambda payload, _: decode(payload))


def _told(decode: Callable[[bytes, Context], object]) -> Read:
    def read(values: Sequence[bytes], context: Context) -> object:
        if len(values) != 1:
            raise MalformedRecord("value", b"".join(values), "want one value")
        return decode(values[0], context)

    return read


def _number(decode: Callable[[bytes], Number]) -> Read:
    return _one(lambda payload: {"number": Measured.of(decode(payload), None)})


def _observation(values: Sequence[bytes], context: Context) -> Fields:
    message = segments.join(values)
    read = decode_stored if context.get("stored") else decode_observation
    return {"segments": len(values)} | read(message).fields()


def _stored_observation(values: Sequence[bytes], context: Context) -> Fields:
    return _observation(values, {"stored": True, **context})


def _operand_width(context: Context) -> racp.Width | None:
    service = shortened(str(context.get("service", "")).lower()).removeprefix("0x")
    stated = context.get("operand_width")
    return stated if stated in (2, 4) else OPERAND_WIDTHS.get(service)


def _record_access(payload: bytes, context: Context) -> object:
    width = _operand_width(context)
    direction = context.get("direction")
    if direction == TO_SERVER:
        return racp.decode_request(payload, width)
    if direction == TO_CLIENT:
        return racp.decode_answer(payload)
    return racp.decode_either(payload, width)


def _ghs_control(payload: bytes, context: Context) -> Fields:
    code = control.decode_control(payload)
    sender = TO_CLIENT if code >= control.Control.SUCCESS else TO_SERVER
    if context.get("direction", sender) != sender:
        raise MalformedRecord(
            "GHS control point", payload, f"{code.name} goes the other way"
        )
    return {"code": code.name.lower()}


def _card(payload: bytes, context: Context) -> object:
    if context.get("direction") == TO_READER:
        return nfc.decode_reply(payload)
    return nfc.decode_command(payload)


def _pen(payload: bytes, context: Context) -> Fields:
    stated = context.get("read_at")
    return decode_pen(payload, None if stated is None else _instant(str(stated)))


def _instant(text: str) -> datetime:
    """Return an instant in ISO 8601 with its zone, since there are such pens."""
    with suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None and at.year > FIRST_PENS:
            return at.astimezone(UTC)
    raise BadInput(f"read_at {text!r}: want a time like 2026-11-23T08:00:00Z")


_TEXTS = {
    "2A24": "Model Number String",
    "2A25": "Serial Number String",
    "2A26": "Firmware Revision String",
    "2A27": "Hardware Revision String",
    "2A28": "Software Revision String",
    "2A29": "Manufacturer Name String",
}
CHARACTERISTICS: tuple[Characteristic, ...] = (
    Characteristic(
        "SFLOAT",
        "IEEE-11073 SFLOAT",
        _number(decode_sfloat),
        ("IEEE-11073 SFLOAT (medfloat16)", "medfloat16"),
    ),
    Characteristic(
        "FLOAT",
        "IEEE-11073 FLOAT",
        _number(decode_float),
        ("IEEE-11073 FLOAT (medfloat32)", "medfloat32"),
    ),
    *(
        Characteristic(key, name, _one(decode))
        for key, name, decode in (
            ("2A08", "Date Time", date_time.decode_date_time),
            ("2A0D", "DST Offset", date_time.decode_dst_offset),
            ("2A0E", "Time Zone", date_time.decode_time_zone),
            (
                "2A0F",
                "Local Time Information",
                date_time.decode_local_time_information,
            ),
            ("2A11", "Time with DST", date_time.decode_time_with_dst),
            ("2A14", "Reference Time Information", date_time.decode_reference_time),
            ("2A18", "Glucose Measurement", glucose.decode_glucose),
            ("2A19", "Battery Level", battery.decode_battery_level),
            ("2A1C", "Temperature Measurement", thermometer.decode_temperature),
            ("2A1D", "Temperature Type", thermometer.decode_temperature_type),
            ("2A1E", "Intermediate Temperature", thermometer.decode_temperature),
            (
                "2A21",
                "Measurement Interval",
                thermometer.decode_measurement_interval,
            ),
            ("2A23", "System ID", device_information.decode_system_id),
            *((k, n, device_information.decode_text) for k, n in _TEXTS.items()),
            ("2A2B", "Current Time", date_time.decode_current_time),
            ("2A34", "Glucose Measurement Context", glucose.decode_glucose_context),
            (
                "2A35",
                "Blood Pressure Measurement",
                blood_pressure.decode_blood_pressure,
            ),
            (
                "2A36",
                "Intermediate Cuff Pressure",
                blood_pressure.decode_cuff_pressure,
            ),
            ("2A37", "Heart Rate Measurement", heart_rate.decode_heart_rate),
            ("2A38", "Body Sensor Location", heart_rate.decode_body_sensor_location),
            (
                "2A49",
                "Blood Pressure Feature",
                blood_pressure.decode_blood_pressure_feature,
            ),
            ("2A50", "PnP ID", device_information.decode_pnp_id),
            ("2A51", "Glucose Feature", glucose.decode_glucose_feature),
            ("2A5E", "PLX Spot-Check Measurement", pulse_oximeter.decode_spot_check),
            ("2A5F", "PLX Continuous Measurement", pulse_oximeter.decode_continuous),
            ("2A60", "PLX Features", pulse_oximeter.decode_oximeter_features),
            ("2A9D", "Weight Measurement", weight_scale.decode_weight),
            ("2A9E", "Weight Scale Feature", weight_scale.decode_weight_feature),
            ("2AA7", "CGM Measurement", cgm.decode_readings),
            ("2AA8", "CGM Feature", cgm.decode_sensor_feature),
            ("2AA9", "CGM Status", cgm.decode_sensor_status),
            ("2AAA", "CGM Session Start Time", cgm.decode_session_start),
            ("2AAB", "CGM Session Run Time", cgm.decode_session_run_time),
            ("2AAC", "CGM Specific Ops Control Point", decode_cgm_control),
            ("2BED", "Battery Level Status", battery.decode_battery_status),
            ("2BF1", "Observation Schedule Changed", control.decode_schedule),
            ("2BF2", "Current Elapsed Time", decode_elapsed_time),
            ("2BF3", "Health Sensor Features", control.features_fields),
            ("2BF5", "LE GATT Security Levels", control.security_fields),
            ("2BFF", "UDI for Medical Devices", device_information.decode_udi),
            ("2910", "Observation Schedule", control.decode_schedule),
            ("2911", "Valid Range and Accuracy", control.decode_valid_range),
        )
    ),
    Characteristic("2A52", "Record Access Control Point", _told(_record_access)),
    Characteristic("2B8B", "Live Health Observations", _observation),
    Characteristic("2BDD", "Stored Health Observations", _stored_observation),
    Characteristic("2BF4", "GHS Control Point", _told(_ghs_control)),
    *(
        Characteristic(
            key,
            f"{name} c8a1bf{part} (proprietary)",
            _one(decode),
            (f"c8a1bf{part}", f"c8a1bf{part}{INPEN}"),
        )
        for key, part, name, decode in (
            ("inpen", "d1", "InPen dose record", inpen.decode_dose),
            ("inpen-time", "d4", "InPen pen time", inpen.decode_pen_time),
            ("inpen-battery", "dd", "InPen battery", battery.decode_battery_level),
            ("inpen-last", "de", "InPen last index", inpen.decode_index),
            ("inpen-remaining", "e0", "InPen remaining", inpen.decode_index),
        )
    ),
    Characteristic(
        "novopen",
        "NovoPen IEEE 11073-20601 APDU (proprietary transport)",
        _told(_pen),
        ("apdu", "NovoPen IEEE 11073-20601 APDU"),
    ),
    Characteristic(
        "phd",
        "NFC PHD link-layer record (NovoPen)",
        _one(nfc.decode_phd_record),
        ("NFC PHD link-layer record",),
    ),
    Characteristic(
        "t4",
        "NFC Type 4 Tag command (NovoPen)",
        _told(_card),
        ("NFC Type 4 Tag command",),
    ),
    Characteristic(
        "dexcom-glucose",
        "Dexcom G5/G6 glucose message 0x31 (proprietary)",
        _one(dexcom.decode_glucose_message),
        ("Dexcom G5/G6 glucose message",),
    ),
    Characteristic(
        "dexcom-time",
        "Dexcom G5/G6 time message 0x25 (proprietary)",
        _one(dexcom.decode_time_message),
        ("Dexcom G5/G6 time message",),
    ),
)


@cache
def _by_name() -> dict[str, Characteristic]:
    return {name: found for found in CHARACTERISTICS for name in found.names()}


def named(name: str) -> Characteristic:
    """Return what is meant by a 16-bit UUID, a 128-bit one, a short or a full name.

    Raises BadInput for a name that is none of these.
    """
    found = _by_name().get(shortened(name.strip().lower()))
    if found is None:
        known = ", ".join(characteristic.key for characteristic in CHARACTERISTICS)
        raise BadInput(f"characteristic {name!r} is not known; known are {known}")
    return found


def decode(name: str, values: Sequence[bytes], context: Context) -> Fields:
    """Return the fields of one value, or of several notifications in order.

    `context` says what octets do not: `direction`, `service` or `operand_width` of a
    control point, `stored` of an observation, `read_at` of a pen. Raises BadInput for
    an unknown name or such a context, MalformedRecord for octets that cannot be read.
    """
    return as_fields(named(name).read(values, context))
