"""What a device offers before anybody pairs with it: advertisement, names, services."""

from bleak.exc import BleakGATTProtocolError

from device_bridge.check.box import Box
from device_bridge.check.requirement import Broken, Requirement, Untested, want
from device_bridge.gatt import uuids
from device_bridge.gatt.control import decode_security

HINT = 6  # octets: format, newest record number, battery
LONGEST_TEXT = 64
NOT_ENCRYPTED = {0x05, 0x08, 0x0C, 0x0F}  # Core Vol 3, Part F, 3.4.1.1
ACCEPTED_SECURITY = {(1, 2), (1, 3), (1, 4)}
PROTECTED = (uuids.HEALTH_FEATURES, uuids.CURRENT_ELAPSED_TIME)
TELLING = {"notify", "indicate"}
GHS = {
    uuids.HEALTH_FEATURES: {"read"},
    uuids.GHS_CONTROL: {"write", "indicate"},
    uuids.RECORD_ACCESS: {"write", "indicate"},
    uuids.SECURITY_LEVELS: {"read"},
}


async def _advertises_the_service(box: Box) -> None:
    services = box.advertised.service_uuids
    want(uuids.GENERIC_HEALTH_SENSOR in services, f"advertises {services}")


async def _advertises_a_hint(box: Box) -> None:
    hint = box.advertised.service_data.get(uuids.GENERIC_HEALTH_SENSOR)
    want(hint is not None, "no service data of 1840")
    octets = hint or b""
    want(len(octets) >= HINT, f"{len(octets)} octets of service data, want {HINT}")
    want(octets[0] == 1, f"format {octets[0]}")
    want(octets[5] <= 100, f"battery of {octets[5]} percent")


async def _names_itself(box: Box) -> None:
    for where in (uuids.MAKER, uuids.MODEL, uuids.SERIAL):
        octets = await _readable(box, where)
        text = _text(where, octets).strip("\0 ")
        want(text, f"{where[4:8]} is empty")
        long = len(octets) > LONGEST_TEXT
        want(not long, f"{where[4:8]} is longer than {LONGEST_TEXT} octets")


async def _tells_its_firmware(box: Box) -> None:
    text = _text(uuids.FIRMWARE, await _readable(box, uuids.FIRMWARE))
    want(text.strip("\0 "), "firmware revision is empty")


def _text(where: str, octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise Broken(f"{where[4:8]} is not UTF-8") from None


async def _readable(box: Box, where: str) -> bytes:
    _characteristic(box, where, {"read"})
    try:
        return await box.read(where)
    except BleakGATTProtocolError as error:
        raise Broken(f"{where[4:8]} refused: {error}") from error


def _characteristic(box: Box, where: str, needed: set[str]) -> None:
    found = box.client.services.get_characteristic(where)
    if found is None:
        raise Broken(f"no characteristic {where[4:8]}")
    missing = needed - set(found.properties)
    want(not missing, f"{where[4:8]} lacks {', '.join(sorted(missing))}")


async def _offers_health_sensor(box: Box) -> None:
    for where, needed in GHS.items():
        _characteristic(box, where, needed)
    for where in (uuids.LIVE_OBSERVATIONS, uuids.STORED_OBSERVATIONS):
        _characteristic(box, where, set())
        found = box.client.services.get_characteristic(where)
        tells = found is not None and TELLING & set(found.properties)
        want(tells, f"{where[4:8]} can neither notify nor indicate")


async def _offers_elapsed_time(box: Box) -> None:
    _characteristic(box, uuids.CURRENT_ELAPSED_TIME, {"read", "write", "indicate"})


async def _offers_battery(box: Box) -> None:
    _characteristic(box, uuids.BATTERY_LEVEL, {"read", "notify"})


async def _says_what_security_it_wants(box: Box) -> None:
    levels = decode_security(await _readable(box, uuids.SECURITY_LEVELS))
    known = set(levels) & ACCEPTED_SECURITY
    want(known, f"2BF5 names no level of mode 1 above 1: {levels}")


async def _keeps_its_data_from_strangers(box: Box) -> None:
    if box.radio is None:
        raise Untested("the system's Bluetooth pairs by itself when it is refused")
    for where in PROTECTED:
        try:
            await box.read(where)
        except BleakGATTProtocolError as error:
            refused = int(error.code) in NOT_ENCRYPTED
            want(refused, f"{where[4:8]} refused with {error}, not for encryption")
        else:
            raise Broken(f"{where[4:8]} is read without encryption")
    code = await box.write(uuids.RECORD_ACCESS, bytes([4, 1]))
    want(code in NOT_ENCRYPTED, f"2A52 answers {code:#04x} without encryption")


OFFERED = (
    Requirement(
        "A1",
        "It advertises service 1840 in its list of 16-bit services.",
        _advertises_the_service,
    ),
    Requirement(
        "A2",
        "It advertises service data of 1840: format 1, newest record number, battery.",
        _advertises_a_hint,
    ),
    Requirement(
        "I1",
        "Maker, model and serial can be read without pairing, in UTF-8.",
        _names_itself,
    ),
    Requirement(
        "I2", "The firmware revision can be read without pairing.", _tells_its_firmware
    ),
    Requirement(
        "S1",
        "It offers Generic Health Sensor with its six characteristics.",
        _offers_health_sensor,
    ),
    Requirement(
        "S2",
        "It offers Elapsed Time, to be read, written and indicated.",
        _offers_elapsed_time,
    ),
    Requirement(
        "S3", "It offers its battery level, to be read and notified.", _offers_battery
    ),
    Requirement(
        "P1",
        "2BF5 can be read without pairing and asks for encryption.",
        _says_what_security_it_wants,
    ),
    Requirement(
        "P2",
        "Records, clock and features are refused on a link without encryption.",
        _keeps_its_data_from_strangers,
    ),
)
