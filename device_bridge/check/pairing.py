"""Pairing: by Secure Connections, once, and never by the legacy procedure."""

from bleak.exc import BleakError

from device_bridge.check.box import Box
from device_bridge.check.requirement import Broken, Requirement, Untested, want
from device_bridge.errors import (
    BridgeError,
    LostBond,
    NoBond,
    UnseenBond,
    WeakPairing,
)
from device_bridge.gatt.control import decode_features
from device_bridge.gatt.uuids import HEALTH_FEATURES
from device_bridge.radio.secure import legacy_pairing


async def _refuses_legacy_pairing(box: Box) -> None:
    if box.radio is None:
        raise Untested("what the system's Bluetooth offers is not ours to choose")
    with legacy_pairing(box.radio.device):
        try:
            await box.client.pair()
        except NoBond:
            pass  # it paired; what legacy pairing gives is not kept
        except (BleakError, BridgeError):
            return
        else:
            await box.client.unpair()
    raise Broken("it pairs with a central that offers legacy pairing alone")


async def _pairs(box: Box) -> None:
    try:
        await box.client.pair(secure=True)
    except UnseenBond:
        pass  # it paired; the system does not tell us how
    except (NoBond, WeakPairing) as error:
        raise Broken(f"it {error.why}") from error
    except LostBond as error:
        raise Broken("it refuses to pair") from error
    except (BleakError, BridgeError) as error:
        raise Broken(f"it does not pair: {error}") from error
    decode_features(await box.read(HEALTH_FEATURES))
    box.paired = True


async def _keeps_its_bond(box: Box) -> None:
    # A link to a bonded device is encrypted with the keys of before, or not at all.
    octets = await box.read(HEALTH_FEATURES)
    want(octets, "2BF3 is empty")


LEGACY = (Requirement("P3", "It refuses legacy pairing.", _refuses_legacy_pairing),)
PAIRING = (
    Requirement(
        "P4", "It pairs by LE Secure Connections, and then shows its data.", _pairs
    ),
)
BONDED = (
    Requirement(
        "P5", "On the next link the keys of before are enough.", _keeps_its_bond
    ),
)
