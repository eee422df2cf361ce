"""PROFILE.md, the check and the reference say the same."""

import re
from datetime import UTC, datetime
from pathlib import Path

import device_bridge
from device_bridge.check.run import REQUIREMENTS
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt.control import Features, decode_features
from device_bridge.gatt.elapsed_time import decode_elapsed_time
from device_bridge.gatt.ghs import Discrete, decode_stored

PROFILE = (Path(device_bridge.__file__).parent / "PROFILE.md").read_text()


def octets(line: str) -> bytes:
    (found,) = re.findall(rf"^    ({line}[0-9A-F ]+?)(?:  .*)?$", PROFILE, re.MULTILINE)
    return bytes.fromhex(found)


def test_the_profile_has_the_requirements_that_are_tried() -> None:
    written = re.findall(r"^- \*\*([A-Z]\d+)\*\* (.+)$", PROFILE, re.MULTILINE)

    assert sorted(written) == sorted((r.number, r.text) for r in REQUIREMENTS)


def test_its_example_of_features_is_a_boxs() -> None:
    codes = (
        mdc.AI_MED_DISPENSED_FIXED,
        mdc.AI_MED_STATUS,
        mdc.CONTAINER,
        mdc.PRIME_SHOT,
        mdc.CLOCK_SET,
    )

    assert decode_features(octets("01 05")) == Features(
        codes, ((mdc.MEDICATION_MINDER, 1),)
    )


def test_its_example_of_a_clock_shows_what_it_says() -> None:
    shown = decode_elapsed_time(octets("2A"))

    assert shown.utc == datetime(2026, 11, 28, tzinfo=UTC)
    assert shown.current_timeline
    assert not shown.needs_set


def test_its_example_of_a_record_is_an_opening() -> None:
    record = decode_stored(octets("07000000"))

    assert record.record_number == record.object_id == 7
    assert record.value == Discrete(mdc.CONTAINER_OPENED)
    assert record.type == mdc.CONTAINER
    assert record.unsigned(mdc.TIMELINE_EPOCH, 6) == 0
    assert record.unsigned(mdc.STORE, 8) == 0x7EC13F9A
    assert record.length == 44
    assert not record.length_counts_head
