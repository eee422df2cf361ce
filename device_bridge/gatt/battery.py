"""Battery Service 180F: Battery Level 2A19, Battery Level Status 2BED."""

from dataclasses import dataclass

from device_bridge.gatt.coded import named, named_bits, numbered
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.reader import Reader

HAS_IDENTIFIER, HAS_LEVEL, HAS_MORE = 0x01, 0x02, 0x04
PRESENT = 0x01
SUPPLY = numbered(("no", "yes", "unknown"))
CHARGE_STATES = numbered(
    ("unknown", "charging", "discharging_active", "discharging_inactive")
)
CHARGE_LEVELS = numbered(("unknown", "good", "low", "critical"))
CHARGING_TYPES = numbered(
    ("not_charging", "constant_current", "constant_voltage", "trickle", "float")
)
CHARGING_FAULTS = numbered(("battery", "external_power", "other"), first=12)
FAULT = 0x04


@dataclass(frozen=True, slots=True)
class BatteryStatus:
    """What a device says of its battery; None where not sent.

    Source: Battery Service 1.1, section 3.2, and GATT Specification Supplement.
    """

    battery_present: bool
    wired_power: str
    wireless_power: str
    charge_state: str
    charge_level: str
    charging_type: str
    charging_faults: tuple[str, ...]
    identifier: int | None
    level: Measured | None
    service_required: str | None
    battery_fault: bool | None


@dataclass(frozen=True, slots=True)
class BatteryLevel:
    level: Measured


def _percent(reader: Reader) -> int:
    percent = reader.unsigned(1)
    if percent > 100:
        raise reader.malformed(f"{percent} percent")
    return percent


def decode_battery(payload: bytes) -> int:
    """Return the charge, 0 to 100 percent; more is malformed."""
    reader = Reader("battery level", payload)
    percent = _percent(reader)
    reader.end()
    return percent


def decode_battery_level(payload: bytes) -> BatteryLevel:
    """Return the value of 2A19 with its unit."""
    return BatteryLevel(Measured(decode_battery(payload), "%"))


def decode_battery_status(payload: bytes) -> BatteryStatus:
    """Return the value of 2BED."""
    reader = Reader("battery level status", payload)
    flags, power = reader.unsigned(1), reader.unsigned(2)
    identifier = reader.unsigned(2) if flags & HAS_IDENTIFIER else None
    level = Measured(_percent(reader), "%") if flags & HAS_LEVEL else None
    more = reader.unsigned(1) if flags & HAS_MORE else None
    return BatteryStatus(
        bool(power & PRESENT),
        named(power >> 1 & 3, SUPPLY),
        named(power >> 3 & 3, SUPPLY),
        named(power >> 5 & 3, CHARGE_STATES),
        named(power >> 7 & 3, CHARGE_LEVELS),
        named(power >> 9 & 7, CHARGING_TYPES),
        named_bits(power, CHARGING_FAULTS),
        identifier,
        level,
        None if more is None else named(more & 3, SUPPLY),
        None if more is None else bool(more & FAULT),
    )
