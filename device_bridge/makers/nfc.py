"""What carries a pen's messages over NFC: Type 4 Tag commands and PHD records.

Sources: NFC Forum Type 4 Tag and Personal Health Device Communication; ISO 7816-4 for
the commands. All of it is big-endian.
"""

from dataclasses import dataclass

from device_bridge.gatt.fields import Fields
from device_bridge.gatt.reader import Reader

MESSAGE_BEGIN_AND_END = 0xC0
SHORT_RECORD, HAS_ID, TYPE_NAME_FORMAT, WELL_KNOWN = 0x10, 0x08, 0x07, 0x01
PHD = b"PHD"
SEQUENCE = 0x0F
SELECT, READ, UPDATE = 0xA4, 0xB0, 0xD6
SELECTED_BY = {0x00: "file_id", 0x04: "aid"}
ALL_THERE_IS = 256  # a length of zero asks for as much as fits
SUCCESS = "9000"


@dataclass(frozen=True, slots=True)
class PhdRecord:
    """One message of IEEE 11073-20601 in an NDEF record."""

    opcode: int
    payload_length: int
    control: int
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What a card answers; `status_word` is 9000 when it did what was asked."""

    data: bytes
    status_word: str
    ok: bool


def decode_phd_record(payload: bytes) -> PhdRecord:
    """Return a short record of the well-known type PHD, alone in its message."""
    reader = Reader("NFC PHD record", payload, "big")
    opcode, type_length, length = reader.octets(3)
    whole = MESSAGE_BEGIN_AND_END | SHORT_RECORD | WELL_KNOWN
    if opcode & ~HAS_ID != whole or type_length != len(PHD):
        raise reader.malformed("no short record of a well-known type")
    id_length = reader.unsigned(1) if opcode & HAS_ID else 0
    if reader.octets(type_length) != PHD:
        raise reader.malformed("type is not PHD")
    reader.octets(id_length)
    if length != reader.left or not length:
        raise reader.malformed(f"length {length} of {reader.left} octets")
    control = reader.unsigned(1)
    return PhdRecord(
        opcode, reader.left, control, control & SEQUENCE, reader.octets(reader.left)
    )


def decode_reply(payload: bytes) -> Reply:
    """Return what a card answers: data, and a status of two octets at the end."""
    reader = Reader("NFC Type 4 Tag reply", payload)
    data = reader.octets(max(0, reader.left - 2))
    status = reader.octets(2).hex()
    return Reply(data, status, status == SUCCESS)


def decode_command(payload: bytes) -> Fields:
    """Return what a reader asks of a card: select, read or update."""
    reader = Reader("NFC Type 4 Tag command", payload, "big")
    instruction_class, instruction = reader.octets(2)
    known = {SELECT: _select, READ: _read, UPDATE: _update}
    if instruction_class or instruction not in known:
        raise reader.malformed("no command to select, read or update")
    return known[instruction](reader)


def _select(reader: Reader) -> Fields:
    by, _ = reader.octets(2)
    if by not in SELECTED_BY:
        raise reader.malformed(f"selection by {by:#04x}")
    target = reader.octets(reader.unsigned(1))
    if reader.left > 1:
        raise reader.malformed(f"{reader.left} octets behind the target")
    return {
        "command": "select",
        "by": SELECTED_BY[by],
        "target": target.hex().upper(),
    }


def _read(reader: Reader) -> Fields:
    offset, length = reader.unsigned(2), reader.unsigned(1)
    reader.end()
    return {"command": "read", "offset": offset, "length": length or ALL_THERE_IS}


def _update(reader: Reader) -> Fields:
    offset, length = reader.unsigned(2), reader.unsigned(1)
    data = reader.octets(length)
    reader.end()
    return {"command": "update", "offset": offset, "length": length, "data": data}
