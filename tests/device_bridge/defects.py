"""What boxes may do wrong, one thing each, and the requirements they then fail."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from bumble import att
from bumble.device import Connection

from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt import uuids
from device_bridge.gatt.elapsed_time import decode_elapsed_time, utc_stamp
from device_bridge.gatt.ghs import (
    Observation,
    Quantity,
    Tlv,
    decode_observation,
    encode_observation,
)
from device_bridge.gatt.ieee11073 import Number
from device_bridge.profiles.medication_monitor_ghs import canonical
from device_bridge.virtual.server import INDICATE, NOTIFY, Writing, advertisement
from tests.device_bridge.defective_box import Defect, Keeping, Telling, WritesInstead

NOTHING: Sequence[bytes] = ()
NO_RECORDS = bytes([6, 0, 7, 6])


def said_otherwise(
    message: bytes, change: Callable[[Observation], Observation]
) -> bytes:
    """Return a record's message with something else in it."""
    return encode_observation(change(decode_observation(message)))


def _only(number: int, change: Callable[[Observation], Observation]) -> Keeping:
    """Return what changes one record, and keeps the others."""

    def keeping(each: int, message: bytes) -> bytes:
        return said_otherwise(message, change) if each == number else message

    return keeping


def _of_clock_sets(change: Callable[[Observation], Observation]) -> Telling:
    """Return what changes the records of a clock that was set, stored and live."""

    def telling(where: str, value: bytes) -> Sequence[bytes]:
        if where not in (uuids.STORED_OBSERVATIONS, uuids.LIVE_OBSERVATIONS):
            return (value,)
        stored = where == uuids.STORED_OBSERVATIONS
        head, message = (value[1:5], value[5:]) if stored else (b"", value[1:])
        said = decode_observation(message)
        if said.type != mdc.CLOCK_SET:
            return (value,)
        changed = change(said)
        if stored and changed.object_id is not None:
            head = changed.object_id.to_bytes(4, "little")
        return (value[:1] + head + encode_observation(changed),)

    return telling


def _first(where: str, change: Callable[[bytes], bytes]) -> Telling:
    """Return what changes all that is told of one characteristic."""
    return lambda uuid, value: (change(value),) if uuid == where else (value,)


def _answers(change: Callable[[bytes], bytes]) -> Telling:
    return _first(uuids.RECORD_ACCESS, change)


def _asks(change: Callable[[bytes], bytes]) -> dict[str, WritesInstead]:
    """Return what takes another request for the one that was written."""
    return {uuids.RECORD_ACCESS: lambda w, link, value: w(link, change(value))}


def _swallows(where: str, code: int) -> dict[str, WritesInstead]:
    """Return what takes a value beginning with an octet, and does nothing."""

    def instead(write: Writing, link: Connection, value: bytes) -> None:
        if value[:1] != bytes([code]):
            write(link, value)

    return {where: instead}


def _busy_is_ignored(write: Writing, link: Connection, value: bytes) -> None:
    try:
        write(link, value)
    except att.ATT_Error as error:
        if error.error_code != att.ErrorCode.PROCEDURE_ALREADY_IN_PROGRESS:
            raise


def _takes_any_time(write: Writing, link: Connection, value: bytes) -> None:
    face = decode_elapsed_time(value)
    good = replace(face, flags=0x2A, sync_source=1)
    write(link, good.encode() if face.flags & 0x0C == 0x08 else _now())


def _now() -> bytes:
    return utc_stamp(datetime.now(UTC)).encode()


def _another(said: Observation) -> Observation:
    epoch = said.unsigned(mdc.TIMELINE_EPOCH, 6) or 0
    return said._replace(tlvs=(Tlv(mdc.TIMELINE_EPOCH, 6, bytes([epoch + 6, 0])),))


def _storeless(said: Observation) -> Observation:
    kept = [tlv for tlv in said.tlvs or () if tlv.type != mdc.STORE]
    return said._replace(tlvs=tuple(kept))


def _by_number(opcode: int) -> Callable[[bytes], bytes]:
    """Return what takes a request in a store for one by number alone."""
    return lambda v: (
        v[:2] + b"\x01" + v[7:] if v[0] == opcode and v[2:3] == b"\xf1" else v
    )


def _dropped(number: int) -> Telling:
    head = number.to_bytes(4, "little")

    def telling(where: str, value: bytes) -> Sequence[bytes]:
        lost = where == uuids.STORED_OBSERVATIONS and value[1:5] == head
        return NOTHING if lost else (value,)

    return telling


def _never_the_same() -> Telling:
    turns, head = count(), (7).to_bytes(4, "little")

    def telling(where: str, value: bytes) -> Sequence[bytes]:
        if where != uuids.STORED_OBSERVATIONS or value[1:5] != head:
            return (value,)
        at = 15  # of the time's milliseconds the lowest octet
        changed = bytes([value[at] ^ (next(turns) & 0xFF)])
        return (value[:at] + changed + value[at + 1 :],)

    return telling


def _standing() -> Callable[[bytes], bytes]:
    shown: list[bytes] = []

    def same(value: bytes) -> bytes:
        shown.append(value)
        return shown[0]

    return same


def _unmarked(where: str, value: bytes) -> Sequence[bytes]:
    if where != uuids.STORED_OBSERVATIONS:
        return (value,)
    return (value[:5] + canonical(value[5:]),)


def _silent_about(where: str) -> Telling:
    return lambda uuid, value: NOTHING if uuid == where else (value,)


DEFECTS = (
    Defect("none", set[str]()),
    Defect(
        "advertises another service",
        {"A1", "A2"},
        advertises=lambda _: advertisement([uuids.BATTERY_SERVICE], None),
    ),
    Defect(
        "hint is too short",
        {"A2"},
        advertises=lambda _: advertisement(
            [uuids.GENERIC_HEALTH_SENSOR], (uuids.GENERIC_HEALTH_SENSOR, b"\x01\x00")
        ),
    ),
    Defect("no serial number", {"I1"}, reads={uuids.SERIAL: lambda _: b""}),
    Defect("firmware in Latin-1", {"I2"}, reads={uuids.FIRMWARE: lambda _: b"1.\xe9"}),
    Defect(
        "no security levels", {"S1", "P1"}, lacks=frozenset({uuids.SECURITY_LEVELS})
    ),
    Defect(
        "clock is not indicated",
        {"S2", "C8"},
        without={uuids.CURRENT_ELAPSED_TIME: INDICATE},
    ),
    Defect("battery is not notified", {"S3"}, without={uuids.BATTERY_LEVEL: NOTIFY}),
    Defect(
        "wants no security",
        {"P1"},
        reads={uuids.SECURITY_LEVELS: lambda _: b"\x01\x01"},
    ),
    Defect("open to strangers", {"P2"}, open_to_all=True),
    Defect("pairs by legacy pairing", {"P3"}, legacy=True),
    Defect("pairs with nobody", {"P4"}, pairs=False),
    Defect("forgets its bonds", {"P5"}, forgets=True),
    Defect("answers whom it cannot reach", {"X1"}, needs_no_indications=True),
    Defect(
        "answers twice",
        {"X2"},
        tells=lambda where, value: (
            (value, value)
            if where == uuids.RECORD_ACCESS and value[0] == 5
            else (value,)
        ),
    ),
    Defect(
        "counts one too many",
        {"X3", "X4", "X5", "X6"},
        tells=_answers(lambda v: v if v[0] != 8 else v[:2] + bytes([v[2] + 1]) + v[3:]),
    ),
    Defect("loses a record on the air", {"X3", "X5", "R3"}, tells=_dropped(150)),
    Defect(
        "takes 'from' for 'all'",
        {"X4"},
        writes=_asks(
            lambda v: (
                bytes([7, 1]) if v[:2] == b"\x07\x03" and v[3:5] != b"\x00\x00" else v
            )
        ),
    ),
    Defect(
        "leaves out the end of a range",
        {"X5", "R7"},
        writes=_asks(
            lambda v: (
                v[:7] + (int.from_bytes(v[7:], "little") - 1).to_bytes(4, "little")
                if v[:2] == b"\x07\x04" and v[7:] < b"\xff\xff"
                else v
            )
        ),
    ),
    Defect(
        "gives the first for the last",
        {"X6", "C6", "C7", "L3", "D3"},
        writes=_asks(lambda v: b"\x07\x05" if v == b"\x07\x06" else v),
    ),
    Defect(
        "says nothing was sent, in another way",
        {"X7"},
        tells=_answers(lambda v: b"\x08\x00\x00\x00\x00\x00" if v == NO_RECORDS else v),
    ),
    Defect(
        "succeeds with what it does not know",
        {"X8"},
        tells=_answers(
            lambda v: b"\x06\x00\x0f\x01" if v[:3] == b"\x06\x00\x0f" else v
        ),
    ),
    Defect(
        "works on two at a time", {"X9"}, writes={uuids.RECORD_ACCESS: _busy_is_ignored}
    ),
    Defect("does not stop", {"X10"}, writes=_swallows(uuids.RECORD_ACCESS, 3)),
    Defect(
        "keeps nonsense", {"R1"}, keeps=lambda n, m: b"\xee" + m[1:] if n == 7 else m
    ),
    Defect(
        "names records otherwise",
        {"R2"},
        keeps=_only(7, lambda said: said._replace(object_id=8)),
    ),
    Defect("left one out", {"R3"}, keeps=lambda n, m: None if n == 7 else m),
    Defect(
        "has a type of its own",
        {"R4", "R8"},
        keeps=_only(7, lambda said: said._replace(type=mdc.PRIVATE | 61951)),
    ),
    Defect(
        "knows no timeline",
        {"R5", "R6", "R9"},
        keeps=_only(7, lambda said: said._replace(tlvs=None)),
    ),
    Defect("names no store", {"R9"}, keeps=_only(7, _storeless)),
    Defect("counts in every store", {"X11"}, writes=_asks(_by_number(4))),
    Defect("deletes in every store", {"D4"}, writes=_asks(_by_number(2))),
    Defect("does not mark the present", {"R6"}, tells=_unmarked),
    Defect("is never the same", {"R7"}, tells=_never_the_same()),
    Defect(
        "does not announce what it is",
        {"R8"},
        reads={uuids.HEALTH_FEATURES: lambda v: bytes([0]) + v[1:]},
    ),
    Defect(
        "tells half the time",
        {"C1"},
        reads={uuids.CURRENT_ELAPSED_TIME: lambda v: v[:9]},
    ),
    Defect(
        "knows no zone",
        {"C2", "C5"},
        reads={uuids.CURRENT_ELAPSED_TIME: lambda v: bytes([v[0] & ~2]) + v[1:]},
    ),
    Defect(
        "has a clock that stands",
        {"C3", "C5"},
        reads={uuids.CURRENT_ELAPSED_TIME: _standing()},
    ),
    Defect(
        "takes any time", {"C4"}, writes={uuids.CURRENT_ELAPSED_TIME: _takes_any_time}
    ),
    Defect(
        "records another jump",
        {"C6"},
        tells=_of_clock_sets(
            lambda said: said._replace(
                value=Quantity(mdc.UNIT_SECOND, Number(Decimal(7)))
            )
        ),
    ),
    Defect("skips an epoch", {"C7"}, tells=_of_clock_sets(_another)),
    Defect(
        "says nothing of its clock",
        {"C8"},
        tells=_silent_about(uuids.CURRENT_ELAPSED_TIME),
    ),
    Defect(
        "cannot go live", {"L1"}, tells=_first(uuids.GHS_CONTROL, lambda _: b"\x82")
    ),
    Defect("takes any control", {"L2"}, writes=_swallows(uuids.GHS_CONTROL, 127)),
    Defect("tells nothing live", {"L3"}, tells=_silent_about(uuids.LIVE_OBSERVATIONS)),
    Defect(
        "deletes all",
        {"D1"},
        writes=_asks(lambda v: b"\x02\x01" if v[:2] == b"\x02\x02" else v),
    ),
    Defect(
        "is glad to delete nothing",
        {"D2", "D4"},
        tells=_answers(
            lambda v: b"\x06\x00\x02\x01" if v == b"\x06\x00\x02\x06" else v
        ),
    ),
    Defect(
        "numbers anew",
        {"D1", "D3"},
        tells=_of_clock_sets(lambda said: said._replace(object_id=1)),
    ),
    Defect("is overcharged", {"B1"}, reads={uuids.BATTERY_LEVEL: lambda _: b"\xc8"}),
)
