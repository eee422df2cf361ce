"""Record Access Control Point 2A52: requests written, answers indicated."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal, Self

from device_bridge.gatt.date_time import DateTime, read_date_time
from device_bridge.gatt.elapsed_time import ElapsedTime, read_stamp
from device_bridge.gatt.fields import Fields
from device_bridge.gatt.reader import Reader


class Opcode(IntEnum):
    REPORT_STORED = 1
    DELETE_STORED = 2
    ABORT = 3
    REPORT_NUMBER = 4
    NUMBER_RESPONSE = 5
    RESPONSE_CODE = 6
    COMBINED_REPORT = 7
    COMBINED_RESPONSE = 8


class Operator(IntEnum):
    NULL = 0
    ALL = 1
    LESS_OR_EQUAL = 2
    GREATER_OR_EQUAL = 3
    WITHIN_RANGE = 4
    FIRST = 5
    LAST = 6


class ResponseCode(IntEnum):
    SUCCESS = 1
    OPCODE_NOT_SUPPORTED = 2
    INVALID_OPERATOR = 3
    OPERATOR_NOT_SUPPORTED = 4
    INVALID_OPERAND = 5
    NO_RECORDS = 6
    ABORT_UNSUCCESSFUL = 7
    NOT_COMPLETED = 8
    OPERAND_NOT_SUPPORTED = 9
    SERVER_BUSY = 10


RECORD_NUMBER, TIME_STAMP = 1, 2
IN_STORE = 0xF1  # of Medication Monitor over GHS: a store, then record numbers
_BOUNDS = {
    Operator.LESS_OR_EQUAL: 1,
    Operator.GREATER_OR_EQUAL: 1,
    Operator.WITHIN_RANGE: 2,
}
_REQUESTS = {
    Opcode.REPORT_STORED,
    Opcode.DELETE_STORED,
    Opcode.ABORT,
    Opcode.REPORT_NUMBER,
    Opcode.COMBINED_REPORT,
}
OPCODE_NAMES = {int(opcode): opcode.name.lower() for opcode in Opcode}
RESPONSE_NAMES = {int(code): code.name.lower() for code in ResponseCode}
Width = Literal[2, 4]
Time = DateTime | ElapsedTime
_TIMES: dict[int, Callable[[Reader], Time]] = {7: read_date_time, 9: read_stamp}
# Of a service whose record numbers are so wide; a service of either kind without one.
_TIME_WIDTHS: dict[Width | None, tuple[int, ...]] = {2: (7,), 4: (9,), None: (7, 9)}
_NUMBER_WIDTHS: dict[Width | None, tuple[int, ...]] = {2: (2,), 4: (4,), None: (2, 4)}
_WIDTHS: dict[int, dict[Width | None, tuple[int, ...]]] = {
    RECORD_NUMBER: _NUMBER_WIDTHS,
    TIME_STAMP: _TIME_WIDTHS,
    IN_STORE: {4: (4,)},  # no adopted service has it
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a collector writes. Bounds are inclusive; None where there is no bound.

    `minimum` and `maximum` are record numbers (time offsets in CGM); a request by time
    has `earliest` and `latest` instead. `store` is the one that they are numbers of.
    """

    opcode: Opcode
    operator: Operator
    filter_type: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    earliest: Time | None = None
    latest: Time | None = None
    store: int | None = None

    def of_store(self, store: int) -> Self:
        """Return this request by number, for the records of one store alone."""
        return replace(self, filter_type=IN_STORE, store=store)

    def fields(self) -> Fields:
        """Return the fields that were sent."""
        bounds = {
            "filter_type": self.filter_type,
            "store": self.store,
            "min": self.earliest if self.minimum is None else self.minimum,
            "max": self.latest if self.maximum is None else self.maximum,
        }
        sent = {name: bound for name, bound in bounds.items() if bound is not None}
        return {
            "opcode": self.opcode.name.lower(),
            "operator": self.operator.name.lower(),
        } | sent

    def encode(self, width: Width = 4) -> bytes:
        """Return the octets; GHS operands are 4 octets wide, GLS and CGM 2."""
        head = bytes([self.opcode, self.operator])
        if self.filter_type is None:
            return head
        bounds = [b for b in (self.minimum, self.maximum) if b is not None]
        operands = b"".join(bound.to_bytes(width, "little") for bound in bounds)
        store = b"" if self.store is None else self.store.to_bytes(4, "little")
        return head + bytes([self.filter_type]) + store + operands


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server indicates: a count, or the code for the request it answers."""

    opcode: Opcode
    count: int | None = None
    request: int | None = None
    code: int | None = None

    def fields(self) -> Fields:
        """Return the count, or the codes with their names."""
        head: Fields = {"opcode": self.opcode.name.lower(), "operator": "null"}
        if self.count is not None:
            return head | {"count": self.count}
        return head | {
            "request_opcode": self.request,
            "request": OPCODE_NAMES.get(self.request or 0, "unknown"),
            "response_code": self.code,
            "response": RESPONSE_NAMES.get(self.code or 0, "unknown"),
        }

    def encode(self) -> bytes:
        """Return the octets; counts are 4 octets wide as in GHS."""
        head = bytes([self.opcode, Operator.NULL])
        if self.count is not None:
            return head + self.count.to_bytes(4, "little")
        return head + bytes([self.request or 0, self.code or 0])


def from_number(first: int) -> Request:
    """Return the request for all records numbered `first` or higher."""
    return Request(
        Opcode.COMBINED_REPORT,
        Operator.GREATER_OR_EQUAL,
        RECORD_NUMBER,
        minimum=first,
    )


def within(first: int, last: int) -> Request:
    """Return the request for the records numbered `first` to `last`."""
    return Request(
        Opcode.COMBINED_REPORT, Operator.WITHIN_RANGE, RECORD_NUMBER, first, last
    )


def count_from(first: int) -> Request:
    """Return the request for how many records are numbered `first` or higher."""
    return Request(
        Opcode.REPORT_NUMBER, Operator.GREATER_OR_EQUAL, RECORD_NUMBER, minimum=first
    )


def count_through(last: int) -> Request:
    """Return the request for how many records are numbered `last` or lower."""
    return Request(
        Opcode.REPORT_NUMBER, Operator.LESS_OR_EQUAL, RECORD_NUMBER, maximum=last
    )


def delete_through(last: int) -> Request:
    """Return the request to delete all records numbered `last` or lower."""
    return Request(
        Opcode.DELETE_STORED, Operator.LESS_OR_EQUAL, RECORD_NUMBER, maximum=last
    )


ABORT = Request(Opcode.ABORT, Operator.NULL)
COUNT_ALL = Request(Opcode.REPORT_NUMBER, Operator.ALL)
REPORT_FIRST = Request(Opcode.COMBINED_REPORT, Operator.FIRST)
REPORT_LAST = Request(Opcode.COMBINED_REPORT, Operator.LAST)
DELETE_FIRST = Request(Opcode.DELETE_STORED, Operator.FIRST)


def _bound_width(
    reader: Reader, filter_type: int, width: Width | None, bounds: int
) -> int:
    """Return the octets of one bound; what fits no service is malformed."""
    known = _WIDTHS.get(filter_type, {}).get(width)
    if known is None:
        raise reader.malformed(f"unknown filter {filter_type}")
    size, odd = divmod(reader.left, bounds)
    if odd or size not in known:
        raise reader.malformed(f"{reader.left} octets of operand")
    return size


def decode_request(payload: bytes, width: Width | None = 4) -> Request:
    """Return the request; raises MalformedRecord on unknown codes or a wrong length.

    `width` is that of the service's record numbers: 4 in GHS, 2 in GLS and CGM. None
    takes any of these that fits.
    """
    reader = Reader("record access request", payload)
    opcode, operator = reader.unsigned(1), reader.unsigned(1)
    if opcode not in _REQUESTS:
        raise reader.malformed(f"opcode {opcode} is not a request")
    if operator not in list(Operator):
        raise reader.malformed(f"unknown operator {operator}")
    opcode, operator = Opcode(opcode), Operator(operator)
    bounds = _BOUNDS.get(operator, 0)
    if not bounds:
        reader.end()
        return Request(opcode, operator)
    filter_type = reader.unsigned(1)
    in_store = filter_type == IN_STORE and width == 4
    store = reader.unsigned(4) if in_store else None
    size = _bound_width(reader, filter_type, width, bounds)
    low, high = (
        operator is not Operator.LESS_OR_EQUAL,
        operator is not Operator.GREATER_OR_EQUAL,
    )
    if filter_type == TIME_STAMP:
        times = [_TIMES[size](reader) for _ in range(bounds)]
        return Request(
            opcode,
            operator,
            filter_type,
            earliest=times[0] if low else None,
            latest=times[-1] if high else None,
        )
    numbers = [reader.unsigned(size) for _ in range(bounds)]
    return Request(
        opcode,
        operator,
        filter_type,
        minimum=numbers[0] if low else None,
        maximum=numbers[-1] if high else None,
        store=store,
    )


def decode_answer(payload: bytes) -> Answer:
    """Return the answer; a count may be 1, 2 or 4 octets wide."""
    reader = Reader("record access answer", payload)
    opcode = reader.unsigned(1)
    if opcode not in (
        Opcode.NUMBER_RESPONSE,
        Opcode.RESPONSE_CODE,
        Opcode.COMBINED_RESPONSE,
    ):
        raise reader.malformed(f"opcode {opcode} is not an answer")
    if reader.unsigned(1) != Operator.NULL:
        raise reader.malformed("operator of an answer is not null")
    if opcode == Opcode.RESPONSE_CODE:
        answer = Answer(
            Opcode.RESPONSE_CODE, request=reader.unsigned(1), code=reader.unsigned(1)
        )
        reader.end()
        return answer
    if reader.left not in (1, 2, 4):
        raise reader.malformed("count of unknown width")
    return Answer(Opcode(opcode), count=reader.unsigned(reader.left))


def decode_either(payload: bytes, width: Width | None = None) -> Request | Answer:
    """Return a request or an answer; every opcode is of one of them."""
    known = Reader("record access", payload).unsigned(1) in _REQUESTS
    return decode_request(payload, width) if known else decode_answer(payload)
