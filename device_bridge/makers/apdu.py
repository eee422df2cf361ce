"""APDUs of IEEE 11073-20601, as pens send and take them. Big-endian throughout.

An APDU is a choice, a length, and what the choice says; a presentation APDU carries an
event report, a request for attributes or an action, or the answer to one. Source: IEEE
11073-20601, annex A.
"""

from collections.abc import Callable

from device_bridge.gatt.fields import Fields
from device_bridge.gatt.reader import Reader
from device_bridge.makers.apdu_attributes import read_attributes
from device_bridge.makers.apdu_store import (
    ACTIONS,
    CONFIGURATION,
    SEGMENT_DATA,
    read_action_answer,
    read_action_request,
    read_objects,
    read_segment_data,
)

DATA_PROTOCOL_20601 = 0x5079
ROLES = {0x80000000: "manager", 0x00800000: "agent"}
WHAT = "IEEE 11073-20601 APDU"


def decode_apdu(payload: bytes) -> Fields:
    """Return one APDU; what is inside must fill each of its lengths exactly."""
    reader = Reader(WHAT, payload, "big")
    choice, length = reader.unsigned(2), reader.unsigned(2)
    if length != reader.left:
        raise reader.malformed(f"length {length} of {reader.left} octets")
    if choice not in _CHOICES:
        raise reader.malformed(f"unknown choice {choice:#06x}")
    name, read = _CHOICES[choice]
    found = {"apdu": name} | read(reader)
    reader.end()
    return found


def _association_request(reader: Reader) -> Fields:
    version, count = reader.unsigned(4), reader.unsigned(2)
    protocols = reader.part(reader.unsigned(2))
    found: list[Fields] = [_data_protocol(protocols) for _ in range(count)]
    protocols.end()
    spoken = next((p for p in found if len(p) > 1), found[0] if found else {})
    return {"protocol_version": version} | spoken


def _association_response(reader: Reader) -> Fields:
    return {"result": reader.unsigned(2)} | _data_protocol(reader)


def _data_protocol(reader: Reader) -> Fields:
    """Return one way to talk that is offered or taken; only ours is looked into."""
    protocol = reader.unsigned(2)
    inner = reader.part(reader.unsigned(2))
    offered: Fields = {"data_proto_id": protocol}
    if protocol != DATA_PROTOCOL_20601:
        return offered
    offered |= {
        "apoep_version": inner.unsigned(4),
        "encoding_rules": inner.unsigned(2),
        "nomenclature_version": inner.unsigned(4),
        "functional_units": inner.unsigned(4),
        "system_type": inner.unsigned(4),
        "system_id": inner.octets(inner.unsigned(2)),
        "config_id": inner.unsigned(2),
    }
    inner.octets(4)  # modes in which data may be requested
    inner.octets(2)  # number of options
    inner.octets(inner.unsigned(2))
    inner.end()
    role = ROLES.get(offered["system_type"], "unknown")
    return offered | {"system_role": role}


def _release(reader: Reader) -> Fields:
    reader.unsigned(2)  # the reason: normal is all there is in use
    return {}


def _abort(reader: Reader) -> Fields:
    return {"reason": reader.unsigned(2)}


def _presentation(reader: Reader) -> Fields:
    data = reader.part(reader.unsigned(2))
    invoke, choice = data.unsigned(2), data.unsigned(2)
    if choice not in _DATA_CHOICES:
        raise data.malformed(f"unknown data choice {choice:#06x}")
    name, read = _DATA_CHOICES[choice]
    inner = data.part(data.unsigned(2))
    data.end()
    found = {"invoke_id": invoke, "choice": name} | read(inner)
    inner.end()
    return found


def _event_head(reader: Reader) -> tuple[Fields, int, Reader]:
    head: Fields = {
        "handle": reader.unsigned(2),
        "relative_time": reader.unsigned(4),
        "event_type": reader.unsigned(2),
    }
    return head, head["event_type"], reader.part(reader.unsigned(2))


def _event_report(reader: Reader) -> Fields:
    head, event, body = _event_head(reader)
    if event == CONFIGURATION:
        told = {"config_report_id": body.unsigned(2), "objects": read_objects(body)}
    elif event == SEGMENT_DATA:
        told = read_segment_data(body)
    else:
        told = {"data": body.octets(body.left)}
    body.end()
    return head | told


def _event_answer(reader: Reader) -> Fields:
    head, event, body = _event_head(reader)
    if event == CONFIGURATION:
        told = {
            "config_report_id": body.unsigned(2),
            "config_result": body.unsigned(2),
        }
    elif event == SEGMENT_DATA:
        told = {
            "segment": body.unsigned(2),
            "first_index": body.unsigned(4),
            "count": body.unsigned(4),
            "segment_status": body.unsigned(2),
        }
    else:
        told = {"data": body.octets(body.left)}
    body.end()
    return head | told


def _get_request(reader: Reader) -> Fields:
    handle, count = reader.unsigned(2), reader.unsigned(2)
    wanted = reader.part(reader.unsigned(2))
    attributes = [wanted.unsigned(2) for _ in range(count)]
    wanted.end()
    asked: Fields = {"handle": handle, "attribute_count": count}
    return asked | {"attributes": attributes} if attributes else asked


def _get_answer(reader: Reader) -> Fields:
    return {"handle": reader.unsigned(2)} | read_attributes(reader)


def _action_head(reader: Reader) -> tuple[Fields, int, Reader]:
    handle, action = reader.unsigned(2), reader.unsigned(2)
    named = {"handle": handle, "action": ACTIONS.get(action, f"{action:#06x}")}
    return named, action, reader.part(reader.unsigned(2))


def _action_request(reader: Reader) -> Fields:
    head, action, body = _action_head(reader)
    asked = read_action_request(body, action)
    body.end()
    return head | asked


def _action_answer(reader: Reader) -> Fields:
    head, action, body = _action_head(reader)
    told = read_action_answer(body, action)
    body.end()
    return head | told


def _error(reader: Reader) -> Fields:
    error = reader.unsigned(2)
    return {"error_value": error, "data": reader.octets(reader.unsigned(2))}


def _reject(reader: Reader) -> Fields:
    return {"problem": reader.unsigned(2)}


Choice = tuple[str, Callable[[Reader], Fields]]
_CHOICES: dict[int, Choice] = {
    0xE200: ("association_request", _association_request),
    0xE300: ("association_response", _association_response),
    0xE400: ("release_request", _release),
    0xE500: ("release_response", _release),
    0xE600: ("abort", _abort),
    0xE700: ("presentation", _presentation),
}
_DATA_CHOICES: dict[int, Choice] = {
    0x0100: ("event_report_request", _event_report),
    0x0101: ("confirmed_event_report_request", _event_report),
    0x0201: ("confirmed_event_report_response", _event_answer),
    0x0103: ("get_request", _get_request),
    0x0203: ("get_response", _get_answer),
    0x0106: ("action_request", _action_request),
    0x0107: ("confirmed_action_request", _action_request),
    0x0207: ("confirmed_action_response", _action_answer),
    0x0300: ("error", _error),
    0x0400: ("reject", _reject),
}
