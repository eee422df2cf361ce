"""The GATT pieces that all virtual peripherals are made of."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from bumble import att, hci
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device
from bumble.gatt import (
    Characteristic,
    CharacteristicValue,
    Descriptor,
    Service,
)
from bumble.host import Host
from bumble.keys import KeyStore, PairingKeys
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.common import AsyncPipeSink

from device_bridge.gatt.uuids import short
from device_bridge.radio.secure import SecureSession
from device_bridge.virtual.air import Air, VirtualController
from device_bridge.virtual.memory import Memory
from device_bridge.virtual.plan import PlannedDevice

READ = Characteristic.Properties.READ
WRITE = Characteristic.Properties.WRITE
NOTIFY = Characteristic.Properties.NOTIFY
INDICATE = Characteristic.Properties.INDICATE
OPEN = att.Attribute.READABLE | att.Attribute.WRITEABLE
ENCRYPTED = (
    OPEN
    | att.Attribute.READ_REQUIRES_ENCRYPTION
    | att.Attribute.WRITE_REQUIRES_ENCRYPTION
)
CCCD = UUID.from_16_bits(0x2902)

NOTIFYING, INDICATING = 0x0001, 0x0002
UPDATE_OVERHEAD = 5  # ATT header and what open implementations leave unused
SERVICE_DATA_FORMAT = 1

Reading = Callable[[Connection], bytes]
Writing = Callable[[Connection, bytes], None]


def uuid(text: str) -> UUID:
    """Return bumble's form of a UUID, 16 bits wide where that says the same."""
    number = int(text[4:8], 16)
    return UUID.from_16_bits(number) if short(number) == text else UUID(text)


class PeripheralKeys(KeyStore):
    """One device's bonds, in the memory that survives the process."""

    def __init__(self, memory: Memory, serial: str) -> None:
        self._memory = memory
        self._serial = serial

    async def delete(self, name: str) -> None:
        self._memory.drop_bond(self._serial, name)

    async def update(self, name: str, keys: PairingKeys) -> None:
        if keys.ltk is None:
            return  # legacy pairing gives no such key; its bonds are not kept
        self._memory.keep_bond(self._serial, name, keys.to_dict())

    async def get(self, _name: str) -> PairingKeys | None:
        return dict(await self.get_all()).get(_name)

    async def get_all(self) -> list[tuple[str, PairingKeys]]:
        bonds = self._memory.bonds(self._serial)
        return [(peer, PairingKeys.from_dict(keys)) for peer, keys in bonds]


class OncePerCentral(PairingDelegate):
    """Accepts whom the device does not know; a known central with lost keys is refused.

    A real box asks for its button within 60 seconds; somebody presses it for every new
    central. A bond that was never used may be an attempt that broke off: it may be made
    again.
    """

    def __init__(self, memory: Memory, serial: str, peer: str) -> None:
        super().__init__(PairingDelegate.NO_OUTPUT_NO_INPUT)
        self._memory = memory
        self._known = (serial, peer)

    async def accept(self) -> bool:
        return not self._memory.bond_confirmed(*self._known)


class GattDevice:
    """A bumble device on the air, and its characteristics by UUID text."""

    def __init__(self, plan: PlannedDevice, memory: Memory, air: Air) -> None:
        self.plan = plan
        self.memory = memory
        self.controller = VirtualController(plan.serial, link=air)
        host = Host(self.controller, AsyncPipeSink(self.controller))
        self.device = Device(name="", address=address_of(plan.serial), host=host)
        self.device.keystore = PeripheralKeys(memory, plan.serial)
        self.device.pairing_config_factory = self._pairing_config
        self.device.smp_session_proxy = SecureSession
        self.characteristics: dict[str, Characteristic[bytes]] = {}

    def _pairing_config(self, connection: Connection) -> PairingConfig:
        peer = str(connection.peer_address)
        delegate = OncePerCentral(self.memory, self.plan.serial, peer)
        return PairingConfig(sc=True, mitm=False, bonding=True, delegate=delegate)

    def characteristic(
        self,
        uuid_text: str,
        properties: Characteristic.Properties,
        *,
        read: Reading | None = None,
        write: Writing | None = None,
        encrypted: bool = False,
    ) -> Characteristic[bytes]:
        """Return a new characteristic; its configuration is as protected as itself."""
        permissions = ENCRYPTED if encrypted else OPEN
        value: CharacteristicValue[bytes] = CharacteristicValue(
            read=read or _nothing, write=write or _refuse
        )
        descriptors: list[Descriptor] = []
        if properties & (NOTIFY | INDICATE):
            descriptors.append(Descriptor(CCCD, permissions))
        made: Characteristic[bytes] = Characteristic(
            uuid(uuid_text), properties, permissions, value, descriptors
        )
        server: Any = self.device.gatt_server  # its descriptor values are untyped
        for descriptor in descriptors:
            descriptor.value = server.make_descriptor_value(made)
        self.characteristics[uuid_text] = made
        return made

    def add(self, service: str, characteristics: Sequence[Characteristic[Any]]) -> None:
        """Offer a service."""
        self.device.add_service(Service(uuid(service), list(characteristics)))

    def subscribed(self, connection: Connection, uuid_text: str, how: int) -> bool:
        """Return whether the central has enabled notifications or indications."""
        handle = self.characteristics[uuid_text].handle
        states = self.device.gatt_server.subscribers.get(connection, {})
        return bool(int.from_bytes(states.get(handle, b""), "little") & how)

    async def notify(
        self, connection: Connection, uuid_text: str, value: bytes
    ) -> None:
        """Send a notification if it is enabled."""
        characteristic = self.characteristics[uuid_text]
        await self.device.notify_subscriber(connection, characteristic, value)

    async def indicate(
        self, connection: Connection, uuid_text: str, value: bytes
    ) -> None:
        """Send an indication if it is enabled and wait for its confirmation."""
        characteristic = self.characteristics[uuid_text]
        await self.device.indicate_subscriber(connection, characteristic, value)

    @property
    def connections(self) -> list[Connection]:
        return list(self.device.connections.values())


def _nothing(_connection: Connection) -> bytes:
    return b""


def _refuse(_connection: Connection, _value: bytes) -> None:
    raise att.ATT_Error(att.ErrorCode.WRITE_NOT_PERMITTED)


def segment_size(connection: Connection) -> int:
    """Return how many octets of a segment fit one notification."""
    return max(20, connection.att_mtu - UPDATE_OVERHEAD)


def address_of(serial: str) -> hci.Address:
    """Return the static random address of a device, the same at every start."""
    octets = bytearray(sha256(serial.encode()).digest()[:6])
    octets[5] |= 0xC0
    return hci.Address(bytes(octets), hci.Address.RANDOM_DEVICE_ADDRESS)


def advertisement(services: Sequence[str], hint: tuple[str, bytes] | None) -> bytes:
    """Return advertising data: services, and service data as a hint to wake up."""
    listed = b"".join(uuid(text).to_pdu_bytes() for text in services)
    fields: list[tuple[int, bytes]] = [
        (AdvertisingData.FLAGS, bytes([0x06])),
        (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, listed),
    ]
    if hint is not None:
        data = uuid(hint[0]).to_pdu_bytes() + hint[1]
        fields.append((AdvertisingData.SERVICE_DATA_16_BIT_UUID, data))
    return bytes(AdvertisingData(fields))
