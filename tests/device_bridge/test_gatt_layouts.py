"""What every layout does with octets too many and too few, and with reserved codes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from device_bridge.characteristics import decode
from device_bridge.errors import MalformedRecord
from device_bridge.gatt.checksums import cms, mcrf4xx, xmodem
from tests.fuzz.inputs import KEYS, Seed, is_sound, seeds

# A newer revision may append to these; all others have one length, or state it.
GROWS = {
    *("2A18", "2A1C", "2A1E", "2A34", "2A35", "2A36", "2A37", "2A49"),
    *("2A5E", "2A5F", "2A60", "2A9D", "2A9E", "2BED", "2BF3", "2BFF"),
}
# Any octets are one of these: text, a list of pairs or of intervals, any two octets.
OPEN_ENDED = {"2A24", "2A25", "2A26", "2A27", "2A28", "2A29", "2BF5", "t4"}


def seed_id(seed: Seed) -> str:
    return f"{seed.key}-{seed.values[0][:6].hex()}"


def text(seed: Seed) -> str:
    return json.dumps(seed.fields())


def read(key: str, octets: str, **context: object) -> dict[str, Any]:
    return decode(key, [bytes.fromhex(octets)], context)


def test_every_decoder_has_a_sound_value_to_start_from() -> None:
    assert {seed.key for seed in seeds()} == set(KEYS)


@pytest.mark.parametrize("seed", seeds(), ids=seed_id)
def test_a_sound_value_reads_to_plain_fields(seed: Seed) -> None:
    assert json.loads(text(seed)) == seed.fields()


@pytest.mark.parametrize("seed", seeds(), ids=seed_id)
def test_a_value_cut_short_anywhere_is_another_value_or_malformed(seed: Seed) -> None:
    *before, last = seed.values
    for length in range(len(last)):
        is_sound(seed.key, [*before, last[:length]], seed.context)


@pytest.mark.parametrize("key", sorted(set(KEYS) - OPEN_ENDED | {"2BF5", "t4"}))
def test_no_octets_are_malformed(key: str) -> None:
    with pytest.raises(MalformedRecord):
        decode(key, [b""], {})


@pytest.mark.parametrize("key", KEYS)
def test_no_value_at_all_is_malformed(key: str) -> None:
    with pytest.raises(MalformedRecord):
        decode(key, [], {})


def lengthened(seed: Seed, by: int) -> Seed:
    *before, last = seed.values
    return Seed(seed.key, seed.context, (*before, last + bytes(by)))


# Intervals between heart beats reach to the end: two more octets are one more.
GROWING = [s for s in seeds() if s.key in GROWS and not s.fields().get("rr_intervals")]


@pytest.mark.parametrize("seed", GROWING, ids=seed_id)
def test_octets_of_a_newer_revision_are_ignored(seed: Seed) -> None:
    assert lengthened(seed, 2).fields() == seed.fields()


@pytest.mark.parametrize(
    "seed",
    [seed for seed in seeds() if seed.key not in GROWS | OPEN_ENDED],
    ids=seed_id,
)
@pytest.mark.parametrize("by", [1, 3])
def test_a_value_of_one_length_refuses_octets_too_many(seed: Seed, by: int) -> None:
    with pytest.raises(MalformedRecord):
        lengthened(seed, by).fields()


@pytest.mark.parametrize(
    ("key", "octets", "reserved"),
    [
        ("2A18", "002a00ea07030f081e2d", "e02a00ea07030f081e2d"),
        ("2A1C", "00810100ff", "f8810100ff"),
        ("2A35", "007d0050005f00", "e07d0050005f00"),
        ("2A35", "107d0050005f000100", "107d0050005f00c1ff"),
        ("2A37", "063c", "e63c"),
        ("2A5E", "0061004800", "e061004800"),
        ("2A5E", "0261004800e0ff", "0261004800ffff"),
        ("2A5F", "0061004800", "e061004800"),
        ("2A9D", "00b436", "f0b436"),
        ("2A51", "ff07", "ffff"),
        ("2AA7", "060078000a00", "061c78000a00"),
        ("2AA9", "0a003f3fff", "0a00ffffff"),
        ("2A2B", "ea07030f081e2d07800f", "ea07030f081e2d0780ff"),
        ("2BED", "000100", "f80180"),
        ("2BF2", "220000000000000100", "e20000000000000100"),
        ("2BFF", "00", "f0"),
        ("2BF3", "000100348200", "fe0100348200"),
    ],
)
def test_reserved_bits_are_ignored(key: str, octets: str, reserved: str) -> None:
    assert read(key, octets) == read(key, reserved)


@pytest.mark.parametrize(
    ("key", "octets", "field"),
    [
        ("2A1C", "04810100ff0a", "type"),
        ("2A1C", "04810100ff00", "type"),
        ("2A1D", "00", "type"),
        ("2A38", "07", "location"),
        ("2A18", "022a00ea07030f081e2d69b01b", "type"),
        ("2A18", "022a00ea07030f081e2d69b051", "location"),
        ("2A34", "022a0006", "meal"),
        ("2A34", "042a0054", "tester"),
        ("2A34", "042a0061", "health"),
        ("2A35", "107d0050005f001800", "pulse_rate_range"),
        ("2BF2", "020000000000000800", "sync_source"),
    ],
)
def test_a_reserved_code_is_named_so_and_costs_no_measurement(
    key: str, octets: str, field: str
) -> None:
    assert read(key, octets)[field] == "reserved"


@pytest.mark.parametrize(
    "octets",
    [
        *("2d06030f081e2d", "1027030f081e2d", "ea070d0f081e2d", "ea070320081e2d"),
        *("ea07021d081e2d", "ea070000181e2d", "ea070000083c2d", "ea070000081e3c"),
    ],
    ids=["1581", "10000", "month", "day", "29 Feb", "hour", "minute", "second"],
)
def test_what_is_on_no_calendar_is_malformed(octets: str) -> None:
    with pytest.raises(MalformedRecord):
        read("2A08", octets)


def test_a_leap_day_needs_a_leap_year_or_an_unknown_one() -> None:
    assert read("2A08", "e807021d000000")["local"] == "2024-02-29T00:00:00"
    assert read("2A08", "0000021d000000")["day"] == 29


@pytest.mark.parametrize(
    ("crc", "check"), [(mcrf4xx, 0x6F91), (xmodem, 0x31C3), (cms, 0xAEE7)]
)
def test_checksums_have_their_published_check_values(
    crc: Callable[[bytes], int], check: int
) -> None:
    assert crc(b"123456789") == check


@pytest.mark.parametrize("key", ["2AA9", "2AAA", "2AAB", "2AAC", "2AA7"])
def test_a_wrong_crc_spoils_the_value(key: str) -> None:
    told = [s for s in seeds() if s.key == key and '"crc_present": true' in text(s)]
    assert told
    for seed in told:
        last = bytearray(seed.values[0])
        last[-1] ^= 0x01
        with pytest.raises(MalformedRecord, match="CRC"):
            decode(key, [bytes(last)], {})


def test_a_wrong_checksum_of_a_pen_is_told_and_its_record_shown() -> None:
    (first, *_) = [seed for seed in seeds() if seed.key == "inpen"]
    damaged = first.values[0][:-1] + b"\0"

    fields = decode("inpen", [damaged], {})

    assert fields == first.fields() | {"checksum_ok": False}


def test_a_request_by_time_needs_no_service_to_be_read() -> None:
    by_date = read("2A52", "010302ea07030f081e2d")
    assert by_date["min"]["local"] == "2026-03-15T08:30:45"
    with pytest.raises(MalformedRecord, match="operand"):
        read("2A52", "010302ea07030f081e2d", operand_width=4)
    with pytest.raises(MalformedRecord, match="filter"):
        read("2A52", "0103030a00")


@pytest.mark.parametrize(
    ("octets", "direction"),
    [("80", "client_to_server"), ("01", "server_to_client")],
)
def test_a_code_of_the_other_direction_is_malformed(
    octets: str, direction: str
) -> None:
    with pytest.raises(MalformedRecord):
        read("2BF4", octets, direction=direction)
