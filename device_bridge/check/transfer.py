"""Record access: are stored records reported as they are asked for?"""

from device_bridge.check.box import Box, Procedure, stored
from device_bridge.check.requirement import Broken, Requirement, Untested, want
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt import racp
from device_bridge.gatt.ghs import U32
from device_bridge.gatt.racp import Opcode, Operator, ResponseCode
from device_bridge.gatt.uuids import RECORD_ACCESS

NOT_CONFIGURED, IN_PROGRESS = 0xFD, 0xFE  # Core Specification Supplement, Part B
HIGHEST = 2**32 - 1
UNDER_WAY = 64  # notifications that may be on their way when a device is told to end


async def _wants_indications_first(box: Box) -> None:
    code = await box.write(RECORD_ACCESS, racp.COUNT_ALL.encode())
    found = f"a request without indications enabled gives {code:#04x}, want 0xfd"
    want(code == NOT_CONFIGURED, found)


async def _counts(box: Box) -> None:
    await box.enable_records()
    begun = await box.ask(racp.COUNT_ALL)
    answer = begun.answer
    counted = answer.opcode is Opcode.NUMBER_RESPONSE and answer.count is not None
    want(counted, f"answers {begun.answers[0].hex()}, want 05 00 and a count")
    want(len(begun.answers) == 1, f"answers {len(begun.answers)} times")
    want(not begun.segments, "sends records though it was asked for their number")


async def _reports_all(box: Box) -> None:
    counted = (await box.ask(racp.COUNT_ALL)).answer.count
    begun = await box.ask(racp.from_number(0))
    if counted == 0:
        _says(begun, Opcode.COMBINED_REPORT, ResponseCode.NO_RECORDS)
        return
    messages, stray = begun.messages()
    box.records = [stored(message) for message in messages]
    want(not stray, f"{stray} segments do not follow on one another")
    _sent(begun, len(messages))
    want(len(messages) == counted, f"sends {len(messages)} of {counted} records")


def _says(begun: Procedure, opcode: int, *codes: int) -> None:
    answer = begun.answer
    said = answer.request == opcode and answer.code in codes
    want(
        said,
        f"answers {begun.answers[0].hex()}, want 06 00 {opcode:02x} {codes[0]:02x}",
    )


def _sent(begun: Procedure, count: int) -> None:
    answer = begun.answer
    combined = answer.opcode is Opcode.COMBINED_RESPONSE
    want(combined, f"ends a combined report with {begun.answers[0].hex()}, want 08 00")
    want(answer.count == count, f"says that it sent {answer.count}, {count} came")


def _numbers(box: Box) -> list[int]:
    if not box.records:
        raise Untested("it has no stored record")
    return [record.number for record in box.records]


async def _reports_from(box: Box) -> None:
    numbers = _numbers(box)
    middle = numbers[len(numbers) // 2]
    await _gives(box, racp.from_number(middle), [n for n in numbers if n >= middle])


async def _gives(box: Box, request: racp.Request, expected: list[int]) -> None:
    begun = await box.ask(request)
    want(begun.segments, f"answers {begun.answers[0].hex()} and sends nothing")
    numbers = begun.numbers()
    # What was recorded since the first reading may come too.
    newer = [n for n in numbers if n > box.records[-1].number]
    told = [n for n in numbers if n not in newer]
    want(told == expected, f"sends records {_brief(told)}, want {_brief(expected)}")
    _sent(begun, len(numbers))


def _brief(numbers: list[int]) -> str:
    if len(numbers) <= 4:
        return str(numbers)
    return f"{numbers[0]} .. {numbers[-1]} ({len(numbers)})"


async def _reports_a_range(box: Box) -> None:
    numbers = _numbers(box)
    low, high = numbers[len(numbers) // 3], numbers[-1 - len(numbers) // 3]
    await _gives(box, racp.within(low, high), [n for n in numbers if low <= n <= high])


async def _reports_first_and_last(box: Box) -> None:
    numbers = _numbers(box)
    await _gives(box, racp.REPORT_FIRST, numbers[:1])
    begun = await box.ask(racp.REPORT_LAST)
    last = begun.numbers()
    want(len(last) == 1, f"sends {len(last)} records, asked for the last")
    want(last[0] >= numbers[-1], f"last record is {last[0]}, want {numbers[-1]}")


async def _says_that_there_is_none(box: Box) -> None:
    begun = await box.ask(racp.within(HIGHEST - 1, HIGHEST))
    _says(begun, Opcode.COMBINED_REPORT, ResponseCode.NO_RECORDS)


async def _refuses_what_it_cannot_read(box: Box) -> None:
    unknown = await box.ask(bytes([0x0F, Operator.ALL]))
    _says(unknown, 0x0F, ResponseCode.OPCODE_NOT_SUPPORTED)
    operator = await box.ask(bytes([Opcode.COMBINED_REPORT, 0x0F]))
    codes = ResponseCode.OPERATOR_NOT_SUPPORTED, ResponseCode.INVALID_OPERATOR
    _says(operator, Opcode.COMBINED_REPORT, *codes)
    turned = await box.ask(racp.within(9, 3))
    _says(turned, Opcode.COMBINED_REPORT, ResponseCode.INVALID_OPERAND)


async def _does_one_at_a_time(box: Box) -> None:
    _numbers(box)
    begun = await box.begin(racp.from_number(0))
    code = await box.write(RECORD_ACCESS, racp.COUNT_ALL.encode())
    before = len(begun.segments)
    await box.finish(begun)
    if code == 0:
        _unless_over(begun, before, "takes a second request while it sends records")
    want(code == IN_PROGRESS, f"a second request gives {code:#04x}, want 0xfe")


def _unless_over(begun: Procedure, before: int, what: str) -> None:
    """Raise Broken; Untested if there was nothing left to send when it was told to."""
    after = len(begun.segments) - before
    if after <= UNDER_WAY:
        raise Untested("it has too few records to be caught at work")
    raise Broken(f"{what}: {after} more notifications came")


async def _ends_when_told_to(box: Box) -> None:
    _numbers(box)
    begun = await box.begin(racp.from_number(0))
    code = await box.write(RECORD_ACCESS, racp.ABORT.encode())
    before = len(begun.segments)
    want(code == 0, f"abort is refused with {code:#04x}")
    await box.finish(begun)
    if begun.answer.opcode is Opcode.COMBINED_RESPONSE:
        _unless_over(begun, before, "sends records though it was told to end")
    _says(begun, Opcode.ABORT, ResponseCode.SUCCESS)
    again = await box.ask(racp.COUNT_ALL)
    ready = again.answer.opcode is Opcode.NUMBER_RESPONSE
    want(ready, "does not take the next request after an abort")


def stores(box: Box) -> tuple[int, int]:
    """Return the store of its newest record, and another; raises Untested."""
    newest = box.records[-1].observation if box.records else None
    store = newest.unsigned(mdc.STORE, U32) if newest else None
    if store is None:
        raise Untested("it has no record that names a store")
    return store, store ^ 1


async def _counts_by_store(box: Box) -> None:
    store, another = stores(box)
    begun = await box.ask(racp.count_from(0).of_store(store))
    said = begun.answers[0].hex()
    count = begun.answer.count
    own = count is not None and count >= len(box.records)
    want(own, f"answers {said}, has {len(box.records)} records of store {store}")
    other = await box.ask(racp.count_from(0).of_store(another))
    none = other.answer.opcode is Opcode.NUMBER_RESPONSE and other.answer.count == 0
    want(
        none, f"answers {other.answers[0].hex()}, asked for another store than its own"
    )


TRANSFER = (
    Requirement(
        "X1",
        "A request before indications of 2A52 are enabled gives ATT error 0xFD.",
        _wants_indications_first,
    ),
    Requirement("X2", "It answers how many records are stored, once.", _counts),
    Requirement(
        "X3",
        "A combined report sends each record once, then how many it has sent.",
        _reports_all,
    ),
    Requirement(
        "X4", "It reports the records from a number on, and no others.", _reports_from
    ),
    Requirement(
        "X5", "It reports a range of numbers, both ends included.", _reports_a_range
    ),
    Requirement(
        "X6", "It reports the first record, and the last.", _reports_first_and_last
    ),
    Requirement(
        "X7",
        "Asked for what it does not have, it answers: no records found.",
        _says_that_there_is_none,
    ),
    Requirement(
        "X8",
        "Unknown opcodes, operators and a turned range are refused by their codes.",
        _refuses_what_it_cannot_read,
    ),
    Requirement(
        "X9",
        "A request while another is under way gives ATT error 0xFE.",
        _does_one_at_a_time,
    ),
    Requirement(
        "X10",
        "An abort ends a report, is answered, and the next request is taken.",
        _ends_when_told_to,
    ),
    Requirement(
        "X11",
        "Asked for the records of a store, it counts those, and none of another.",
        _counts_by_store,
    ),
)
