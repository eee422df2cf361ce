"""Decoders are total: a value or MalformedRecord for any octets whatever."""

from contextlib import suppress
from datetime import UTC, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bridge.errors import MalformedRecord
from device_bridge.gatt.characteristics import READERS, read
from device_bridge.gatt.elapsed_time import (
    EPOCH,
    ElapsedTime,
    decode_elapsed_time,
    utc_stamp,
)
from device_bridge.gatt.ghs import (
    Discrete,
    Events,
    Observation,
    Quantity,
    Tlv,
    decode_observation,
    decode_stored,
    encode_observation,
)
from device_bridge.gatt.ieee11073 import (
    MANTISSA_LIMIT,
    Number,
    Special,
    decode_float,
    encode_float,
)
from device_bridge.gatt.racp import (
    decode_answer,
    decode_request,
    delete_through,
    from_number,
)
from device_bridge.gatt.segments import SegmentAssembler, SegmentCutter

U32 = st.integers(0, 2**32 - 1)
CONTEXTS = st.sampled_from(
    [
        {},
        {"stored": True},
        {"direction": "client_to_server", "operand_width": 4},
        {"direction": "client_to_server", "operand_width": 2},
    ]
)


@given(
    st.sampled_from(sorted(READERS)),
    st.lists(st.binary(max_size=60), max_size=3),
    CONTEXTS,
)
def test_any_octets_give_fields_or_a_malformed_record(
    characteristic: str, values: list[bytes], context: dict[str, object]
) -> None:
    with suppress(MalformedRecord):
        assert isinstance(read(characteristic, values, context), dict)


@given(st.binary(max_size=80))
def test_any_message_gives_an_observation_or_a_malformed_record(payload: bytes) -> None:
    for decode in (decode_observation, decode_stored, decode_answer, decode_request):
        with suppress(MalformedRecord):
            decode(payload)


@given(st.binary(min_size=9, max_size=9))
def test_every_nine_octets_are_a_time_stamp_that_encodes_back(octets: bytes) -> None:
    stamp = decode_elapsed_time(octets)
    assert stamp.encode() == octets
    assert stamp.utc is None or stamp.utc.tzinfo is UTC


@given(st.integers(-MANTISSA_LIMIT, MANTISSA_LIMIT), st.integers(-128, 127))
def test_a_float_keeps_every_digit(mantissa: int, exponent: int) -> None:
    digits = tuple(int(digit) for digit in str(abs(mantissa)))
    sent = Decimal((int(mantissa < 0), digits, exponent))
    back = decode_float(encode_float(Number(sent))).decimal
    assert back is not None
    assert back.as_tuple() == sent.as_tuple()


@pytest.mark.parametrize("special", list(Special))
def test_special_values_survive(special: Special) -> None:
    assert decode_float(encode_float(Number(None, special))).special is special


def test_a_dose_with_more_digits_than_a_float_holds_is_not_rounded() -> None:
    with pytest.raises(ValueError, match="too many digits"):
        encode_float(Number(Decimal(123456789)))


def tenths(mantissa: int) -> Number:
    return Number(Decimal(mantissa) / 10)


def events(codes: list[int]) -> Events:
    return Events(tuple(codes))


def instant(seconds: int) -> ElapsedTime:
    return utc_stamp(EPOCH + timedelta(seconds=seconds))


TLVS = st.lists(st.builds(Tlv, U32, st.just(8), st.binary(max_size=4)), max_size=3)
observations = st.builds(
    Observation,
    value=st.one_of(
        st.builds(
            Quantity, st.integers(0, 0xFFFF), st.builds(tenths, st.integers(0, 10**6))
        ),
        st.builds(Discrete, U32),
        st.builds(events, st.lists(U32, max_size=5)),
        st.text(max_size=20),
    ),
    type=st.none() | U32,
    time=st.none() | st.builds(instant, st.integers(0, 2**33)),
    object_id=st.none() | U32,
    patient=st.none() | st.integers(0, 255),
    supplemental=st.none() | st.lists(U32, max_size=4).map(tuple),
    tlvs=st.none() | TLVS.map(tuple),
)


@given(observations)
def test_an_observation_reads_back_as_it_was_written(sent: Observation) -> None:
    payload = encode_observation(sent)
    back = decode_observation(payload)
    assert back.length == len(payload) - 3
    assert encode_observation(back) == payload


@given(observations)
def test_both_readings_of_the_length_field_are_accepted(sent: Observation) -> None:
    payload = encode_observation(sent)
    whole = payload[:1] + len(payload).to_bytes(2, "little") + payload[3:]
    back = decode_observation(whole)
    assert back.length_counts_head
    assert back.value == decode_observation(payload).value


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8), st.integers(2, 60))
def test_messages_survive_cutting_and_joining(messages: list[bytes], size: int) -> None:
    cutter, assembler = SegmentCutter(), SegmentAssembler()
    joined = [
        done
        for message in messages
        for segment in cutter.cut(message, size)
        if (done := assembler.feed(segment)) is not None
    ]
    assert joined == messages
    assert assembler.lost == 0


@given(st.lists(st.binary(min_size=1, max_size=90), min_size=2, max_size=6), st.data())
def test_a_lost_segment_drops_its_message_and_no_other(
    messages: list[bytes], data: st.DataObject
) -> None:
    cutter, assembler = SegmentCutter(), SegmentAssembler()
    sent = [(i, s) for i, m in enumerate(messages) for s in cutter.cut(m, 30)]
    dropped = data.draw(st.integers(0, len(sent) - 2))
    hit = sent[dropped][0]
    received = [
        done
        for index, (_, segment) in enumerate(sent)
        if index != dropped and (done := assembler.feed(segment)) is not None
    ]
    assert received == [m for i, m in enumerate(messages) if i != hit]
    assert assembler.lost or dropped == 0


@given(U32)
def test_requests_for_records_read_back(number: int) -> None:
    for request in (from_number(number), delete_through(number)):
        assert decode_request(request.encode()) == request
