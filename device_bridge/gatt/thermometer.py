"""Health Thermometer Service 1809: 2A1C, 2A1D, 2A1E, 2A21."""

from dataclasses import dataclass

from device_bridge.gatt.coded import named, numbered
from device_bridge.gatt.date_time import DateTime, read_date_time
from device_bridge.gatt.measured import Measured, float32
from device_bridge.gatt.reader import Reader

FAHRENHEIT, HAS_TIME, HAS_TYPE = 0x01, 0x02, 0x04
TYPES = numbered(
    (
        *("armpit", "body", "ear", "finger", "gastrointestinal_tract"),
        *("mouth", "rectum", "toe", "tympanum"),
    ),
    first=1,
)


@dataclass(frozen=True, slots=True)
class Temperature:
    """A temperature, when it was taken and where on the body; None where not sent."""

    temperature: Measured
    timestamp: DateTime | None
    type: str | None


@dataclass(frozen=True, slots=True)
class TemperatureType:
    type: str


@dataclass(frozen=True, slots=True)
class MeasurementInterval:
    """Seconds between two measurements; 0: none are made by themselves."""

    interval: Measured


def decode_temperature(payload: bytes) -> Temperature:
    """Return the value of 2A1C or 2A1E."""
    reader = Reader("temperature measurement", payload)
    flags = reader.unsigned(1)
    return Temperature(
        float32(reader, "[degF]" if flags & FAHRENHEIT else "Cel"),
        read_date_time(reader) if flags & HAS_TIME else None,
        named(reader.unsigned(1), TYPES) if flags & HAS_TYPE else None,
    )


def decode_temperature_type(payload: bytes) -> TemperatureType:
    """Return the value of 2A1D."""
    reader = Reader("temperature type", payload)
    code = reader.unsigned(1)
    reader.end()
    return TemperatureType(named(code, TYPES))


def decode_measurement_interval(payload: bytes) -> MeasurementInterval:
    """Return the value of 2A21."""
    reader = Reader("measurement interval", payload)
    seconds = reader.unsigned(2)
    reader.end()
    return MeasurementInterval(Measured(seconds, "s"))
