"""What is written reads back as it was: wherever there is an encoder, and numbers."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bridge.errors import MalformedRecord
from device_bridge.gatt.control import Features, decode_features
from device_bridge.gatt.date_time import DateTime, decode_date_time
from device_bridge.gatt.elapsed_time import (
    EPOCH,
    ElapsedTime,
    decode_elapsed_time,
    utc_stamp,
)
from device_bridge.gatt.ghs import (
    Bundle,
    Observation,
    decode_observation,
    encode_observation,
)
from device_bridge.gatt.ghs_values import (
    Attributes,
    Component,
    Compound,
    Discrete,
    Events,
    Quantity,
    SampleArray,
    States,
    Tlv,
)
from device_bridge.gatt.heart_rate import decode_heart_rate, encode_heart_rate
from device_bridge.gatt.ieee11073 import (
    MANTISSA_LIMIT,
    Number,
    Special,
    decode_float,
    decode_sfloat,
    encode_float,
)
from device_bridge.gatt.racp import (
    RECORD_NUMBER,
    Answer,
    Opcode,
    Operator,
    Request,
    Width,
    decode_answer,
    decode_either,
    decode_request,
)
from device_bridge.gatt.segments import (
    FIRST,
    LAST,
    SegmentAssembler,
    SegmentCutter,
    join,
)

U8, U16, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))


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


@pytest.mark.parametrize("exponent", range(-8, 8))
def test_every_short_float_is_its_mantissa_times_a_power_of_ten(exponent: int) -> None:
    for mantissa in range(-2048, 2048):
        octets = (exponent % 16 << 12 | mantissa % 4096).to_bytes(2, "little")
        number = decode_sfloat(octets)
        special = exponent == 0 and mantissa in (2046, 2047, -2048, -2047, -2046)
        assert (number.special is not None) == special
        if number.decimal is not None:
            assert Fraction(number.decimal) == mantissa * Fraction(10) ** exponent


def instant(seconds: int) -> ElapsedTime:
    return utc_stamp(EPOCH + timedelta(seconds=seconds))


def wide(width: int) -> st.SearchStrategy[int]:
    return st.integers(0, 256**width - 1)


def arrays(width: int) -> st.SearchStrategy[SampleArray]:
    s32 = st.integers(-(2**31), 2**31 - 1)
    samples = st.lists(wide(width), max_size=6).map(tuple)
    return st.builds(
        SampleArray,
        U16,
        numbers,
        numbers,
        s32,
        s32,
        numbers,
        U8,
        st.just(width),
        samples,
    )


def states(width: int) -> st.SearchStrategy[States]:
    mask = wide(width)
    return st.builds(States, st.just(width), mask, mask, mask)


numbers = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda tenths: Number(Decimal(tenths) / 10)),
    st.sampled_from(Special).map(lambda special: Number(None, special)),
)
tlvs = st.lists(st.builds(Tlv, U32, U8, st.binary(max_size=4)), max_size=3).map(tuple)
codes = st.lists(U32, max_size=5).map(tuple)
simple = st.one_of(
    st.builds(Quantity, U16, numbers),
    st.builds(Discrete, U32),
    st.text(max_size=20),
    st.sampled_from((1, 2, 4)).flatmap(arrays),
    st.builds(Events, codes),
    st.integers(0, 4).flatmap(states),
    st.builds(Attributes, tlvs),
)
components = st.lists(st.builds(Component, U32, simple), max_size=3).map(tuple)
values = simple | st.builds(Compound, components)


def observed(content: st.SearchStrategy[object]) -> st.SearchStrategy[Observation]:
    return st.builds(
        Observation,
        value=content,
        type=st.none() | U32,
        time=st.none() | st.builds(instant, st.integers(0, 2**33)),
        duration=st.none() | numbers,
        status=st.none() | U16,
        object_id=st.none() | U32,
        patient=st.none() | U8,
        supplemental=st.none() | codes,
        derived_from=st.none() | codes,
        members=st.none() | codes,
        tlvs=st.none() | tlvs,
    )


bundles = st.lists(observed(values), max_size=3).map(tuple)
observations = observed(values | st.builds(Bundle, bundles))


@given(observations)
def test_an_observation_reads_back_as_it_was_written(sent: Observation) -> None:
    payload = encode_observation(sent)
    back = decode_observation(payload)
    assert back.length == len(payload) - 3
    assert isinstance(sent.value, Bundle) or back.value == sent.value
    assert encode_observation(back) == payload


@given(observed(values))
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


def test_a_message_that_never_ended_is_lost_and_the_next_one_is_not() -> None:
    assembler = SegmentAssembler()
    first, second = FIRST, 1 << 2 | FIRST | LAST  # counters 0 and 1

    assert assembler.feed(bytes([first]) + b"begun") is None
    assert assembler.feed(bytes([second]) + b"next") == b"next"
    assert assembler.lost == 1


@given(st.lists(st.binary(min_size=1, max_size=90), min_size=1, max_size=3))
def test_only_the_segments_of_one_message_are_joined(messages: list[bytes]) -> None:
    cutter = SegmentCutter()
    segments = [segment for message in messages for segment in cutter.cut(message, 30)]
    if len(messages) == 1:
        assert join(segments) == messages[0]
    else:
        with pytest.raises(MalformedRecord):
            join(segments)


ASKED = (
    *(Opcode.REPORT_STORED, Opcode.DELETE_STORED, Opcode.REPORT_NUMBER),
    *(Opcode.COMBINED_REPORT, Opcode.ABORT),
)


def requests(width: Width) -> st.SearchStrategy[Request]:
    number, none = wide(width), st.none()
    asked = st.sampled_from(ASKED)

    def bounded(
        operator: Operator,
        low: st.SearchStrategy[int | None],
        high: st.SearchStrategy[int | None],
    ) -> st.SearchStrategy[Request]:
        return st.builds(
            Request, asked, st.just(operator), st.just(RECORD_NUMBER), low, high
        )

    unbounded = (Operator.NULL, Operator.ALL, Operator.FIRST, Operator.LAST)
    return st.one_of(
        st.builds(Request, asked, st.sampled_from(unbounded)),
        bounded(Operator.LESS_OR_EQUAL, none, number),
        bounded(Operator.GREATER_OR_EQUAL, number, none),
        bounded(Operator.WITHIN_RANGE, number, number),
    )


@pytest.mark.parametrize("width", [2, 4])
@given(data=st.data())
def test_requests_for_records_read_back(width: Width, data: st.DataObject) -> None:
    request = data.draw(requests(width))
    octets = request.encode(width)
    assert decode_request(octets, width) == decode_either(octets) == request


@given(requests(4), wide(4))
def test_requests_for_records_of_a_store_read_back(request: Request, of: int) -> None:
    if request.filter_type is None:
        return
    asked = request.of_store(of)
    assert decode_request(asked.encode()) == asked
    with pytest.raises(MalformedRecord, match="unknown filter"):
        decode_request(asked.encode(), 2)


@given(
    st.one_of(
        st.builds(Answer, st.just(Opcode.RESPONSE_CODE), request=U8, code=U8),
        st.builds(
            Answer,
            st.sampled_from((Opcode.NUMBER_RESPONSE, Opcode.COMBINED_RESPONSE)),
            U32,
        ),
    )
)
def test_answers_read_back(answer: Answer) -> None:
    octets = answer.encode()
    assert decode_answer(octets) == decode_either(octets) == answer


special_terms = st.lists(st.tuples(U16, U8), max_size=4).map(tuple)


@given(st.builds(Features, codes, st.none() | special_terms))
def test_features_read_back(features: Features) -> None:
    assert decode_features(features.encode()) == features


@given(U16)
def test_a_heart_rate_reads_back(beats: int) -> None:
    back = decode_heart_rate(encode_heart_rate(beats))
    assert (back.beats, back.contact) == (beats, True)


@given(st.dates(date(1582, 1, 1)), st.times())
def test_a_date_time_reads_back(day: date, hour: time) -> None:
    at = datetime.combine(day, hour)
    octets = at.year.to_bytes(2, "little") + bytes(
        (at.month, at.day, at.hour, at.minute, at.second)
    )
    read = decode_date_time(octets)
    assert read == DateTime(*at.timetuple()[:6])
    assert read.local == at.replace(microsecond=0).isoformat()
