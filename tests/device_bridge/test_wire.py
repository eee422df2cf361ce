"""Octets of devices, one file a family under tests/wire, and what they mean."""

import json
from decimal import Decimal
from importlib import import_module
from math import isfinite
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bridge import profiles
from device_bridge.errors import MalformedRecord
from device_bridge.events import DoseEvent
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.uuids import short
from device_bridge.measurement import Measurement
from device_bridge.profiles.medication_monitor_ghs import (
    StoredRecord,
    canonical,
    decode,
)
from device_bridge.units import converted

WIRE = Path(__file__).parents[1] / "wire"
MEASURING = (
    "blood_pressure",
    "cgm",
    "glucose_meter",
    "heart_rate",
    "pulse_oximeter",
    "thermometer",
    "weight_scale",
)


def lines(name: str) -> list[Any]:
    text = (WIRE / f"{name}.txt").read_text().splitlines()
    pairs = [line.split(" => ") for line in text if line and not line.startswith("#")]
    return [pytest.param(bytes.fromhex(octets), told) for octets, told in pairs]


def measured(name: str) -> list[Any]:
    """Return the decoder for each line, its octets and what is told of them.

    A family with several characteristics names that of a line before the octets.
    """
    profile = import_module(f"{profiles.__name__}.{name}").PROFILE
    found: list[Any] = []
    for line in (WIRE / f"{name}.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        value, told = line.split(" => ")
        *where, octets = value.split(" ")
        uuids = [short(int(uuid, 16)) for uuid in where] or list(profile.decoders)
        found.append(pytest.param(profile.decoders[uuids[0]], octets, told))
    return found


def as_said(taken: Measurement) -> dict[str, Any]:
    vitals = {f"{v.code.loinc} {v.code.unit}": round(v.value, 7) for v in taken.vitals}
    rest: dict[str, Any] = {
        "refused": list(taken.refused),
        "face": taken.face and taken.face.isoformat(),
        "user": taken.user,
        "number": taken.number,
        "minutes": taken.minutes,
        "stored": taken.is_stored,
        "momentary": taken.momentary,
    }
    return vitals | {
        name: said for name, said in rest.items() if said not in (None, False, [])
    }


@pytest.mark.parametrize(
    ("decode_", "octets", "told"),
    [line for name in MEASURING for line in measured(name)],
)
def test_vitals(decode_: profiles.Decode, octets: str, told: str) -> None:
    if told == "malformed":
        with pytest.raises(MalformedRecord):
            decode_(bytes.fromhex(octets))
    else:
        assert as_said(decode_(bytes.fromhex(octets))) == json.loads(told)


def as_told(record: StoredRecord) -> dict[str, Any] | None:
    if record.what is None or record.time is None:
        return None
    what = record.what
    told: dict[str, Any] = {"utc": record.time.utc and record.time.utc.isoformat()}
    if isinstance(what, DoseEvent):
        told |= {
            "what": what.evidence.value,
            "label": what.label and what.label.value,
            "amount": what.amount and f"{what.amount:f}",
            "unit": what.unit,
            "compartment": what.compartment,
        }
    else:
        told |= {"what": what.kind.value, "detail": what.detail or None}
    told |= {"number": record.number, "epoch": record.epoch}
    return {key: value for key, value in told.items() if value is not None}


@pytest.mark.parametrize(("octets", "told"), lines("medication_monitor_ghs"))
def test_medication_monitor(octets: bytes, told: str) -> None:
    if told == "malformed":
        with pytest.raises(MalformedRecord):
            decode(octets)
    else:
        assert as_told(decode(octets)) == json.loads(told)


def test_a_record_has_the_same_hash_before_and_after_the_clock_was_set() -> None:
    octets, _ = lines("medication_monitor_ghs")[-1].values
    present = decode(octets).time
    assert present is not None
    assert present.current_timeline
    older = octets[:9] + bytes([octets[9] & ~0x20]) + octets[10:]
    assert canonical(octets) == canonical(older) == older


def test_octets_too_short_for_a_stamp_are_their_own_canonical_form() -> None:
    for length in range(12):
        octets = bytes([0x01, 0x00, 0x00, 0x03, 0x00, 0xFF, 0xFF, 0xFF])[:length]
        assert len(canonical(octets)) == len(octets)


def test_every_profile_module_has_a_file_of_octets() -> None:
    modules = {module.name for module in iter_modules(profiles.__path__)}
    assert modules == {file.stem for file in WIRE.glob("*.txt")}
    assert modules == {*MEASURING, "medication_monitor_ghs"}


@given(st.binary(max_size=40), st.sampled_from(sorted(profiles.sample_decoders())))
def test_any_octets_are_a_measurement_or_malformed(octets: bytes, uuid: str) -> None:
    try:
        taken = profiles.sample_decoders()[uuid](octets)
    except MalformedRecord:
        return
    assert all(isfinite(vital.value) for vital in taken.vitals)
    assert taken.vitals or taken.refused


@given(st.decimals(-500, 500, places=2))
def test_degrees_fahrenheit_convert_as_they_are_defined(degrees: Decimal) -> None:
    celsius = converted(Measured(degrees, "[degF]"), "Cel")
    assert celsius is not None
    assert abs(celsius * 9 - (degrees - 32) * 5) < Decimal("1e-20")


@given(st.integers(-2048, 2047), st.integers(-8, 7))
def test_powers_of_ten_convert_without_a_digit_lost(
    mantissa: int, exponent: int
) -> None:
    sent = Decimal(mantissa).scaleb(exponent)
    assert converted(Measured(sent, "kg/L"), "mg/dL") == sent * 100_000
    assert converted(Measured(sent, "mol/L"), "mmol/L") == sent * 1000
