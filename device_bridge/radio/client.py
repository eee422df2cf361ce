"""bleak's client over bumble."""

import asyncio
from collections.abc import Awaitable
from typing import Any, ClassVar, TypeVar, cast

from bleak.args import SizedBuffer
from bleak.assigned_numbers import (
    CHARACTERISTIC_PROPERTIES,
    CharacteristicPropertyName,
)
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError
from bumble import att, hci
from bumble.core import BaseBumbleError
from bumble.device import Connection, Peer
from bumble.gatt_client import CharacteristicProxy, ServiceProxy

from device_bridge.errors import LostBond, NoBond, WeakPairing
from device_bridge.radio.adapter import Radio
from device_bridge.radio.apart import apart
from device_bridge.radio.scanner import text_of
from device_bridge.radio.secure import is_weak

T = TypeVar("T")
LARGEST_MTU = 517
KEYS_GONE = (
    hci.HCI_ErrorCode.PIN_OR_KEY_MISSING_ERROR,
    hci.HCI_ErrorCode.AUTHENTICATION_FAILURE_ERROR,
    hci.HCI_ErrorCode.CONNECTION_TERMINATED_DUE_TO_MIC_FAILURE_ERROR,
)


class BumbleClient(BaseBleakClient):
    """One link of one radio. `radio` is bound by a subclass."""

    radio: ClassVar[Radio]

    def __init__(self, address_or_ble_device: BLEDevice | str, **options: Any) -> None:  # noqa: ANN401  as in bleak
        super().__init__(
            address_or_ble_device,
            disconnected_callback=options.get("disconnected_callback"),
            timeout=options.get("timeout", 30.0),
        )
        self._connection: Connection | None = None
        self._ended: asyncio.Future[None] | None = None
        self._unconfirmed: str | None = None

    @property
    def name(self) -> str:
        return self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        return self._connection.att_mtu if self._connection is not None else 23

    @property
    def is_connected(self) -> bool:
        ended = self._ended is None or self._ended.done()
        return self._connection is not None and not ended

    async def connect(self, pair: bool, **_options: Any) -> None:  # noqa: ANN401, FBT001  as in bleak
        """Connect, encrypt if there is a bond, discover services."""
        address = hci.Address(self.address, hci.Address.RANDOM_DEVICE_ADDRESS)
        async with self.radio.connecting:
            self._fail_if_lost()
            try:
                connecting = self.radio.device.connect_le(
                    address, timeout=self._timeout
                )
                connection = await apart(connecting)
            except BaseBumbleError as error:
                raise BleakError(f"cannot connect: {error}") from error
        self._watch(connection)
        try:
            if await self.radio.bonds.get(str(connection.peer_address)) is not None:
                await self._use_bond(connection)
            elif pair:
                await self.pair()
            await self._discover(connection)
        except BaseException:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """End the link if there is one."""
        if self._connection is None or not self.is_connected:
            return
        try:
            await self._guarded(self._connection.disconnect())
        except BleakError:
            return  # it ended by itself meanwhile

    async def pair(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401  as in bleak
        """Make a bond, unless the link is encrypted with one already.

        Raises LostBond when the peripheral refuses: it has a bond with us that we lost.
        Raises WeakPairing when it offers legacy pairing alone; NoBond when it keeps
        none.
        """
        connection = self._link()
        if connection.is_encrypted:
            return
        self.radio.bonds.check()
        try:
            await self._guarded(connection.pair())
        except BleakError as error:
            if self.is_connected:
                refused = WeakPairing if is_weak(error) else LostBond
                raise refused(self.address) from error
            raise
        self._unconfirmed = str(connection.peer_address)
        if await self.radio.bonds.get(self._unconfirmed) is None:
            await self.disconnect()
            raise NoBond(self.address)

    async def unpair(self) -> None:
        """Forget the bond on this side."""
        await self.radio.bonds.delete(self.address)
        await self.disconnect()

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,
        **_options: Any,  # noqa: ANN401  as in bleak
    ) -> bytearray:
        """Return the value, read now."""
        del use_cached  # nothing is cached
        proxy = cast("CharacteristicProxy[bytes]", characteristic.obj)
        value = bytearray(await self._guarded(proxy.read_value()))
        if self._unconfirmed is not None:
            # It has answered what came behind the keys, so it has had the keys.
            self.radio.bonds.confirm(self._unconfirmed)
            self._unconfirmed = None
        return value

    async def read_gatt_descriptor(
        self,
        descriptor: BleakGATTDescriptor,
        *,
        use_cached: bool = False,
        **_options: Any,  # noqa: ANN401  as in bleak
    ) -> bytearray:
        """Return the value, read now."""
        del use_cached
        return bytearray(await self._guarded(descriptor.obj.read_value()))

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,  # noqa: FBT001  as in bleak
    ) -> None:
        """Write a value; with `response` the peripheral has taken it."""
        proxy = cast("CharacteristicProxy[bytes]", characteristic.obj)
        await self._guarded(proxy.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        """Write a value."""
        writing = descriptor.obj.write_value(bytes(data), with_response=True)
        await self._guarded(writing)

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: NotifyCallback,
        **_options: Any,  # noqa: ANN401  as in bleak
    ) -> None:
        """Enable notifications, or indications where there are no notifications."""
        proxy = cast("CharacteristicProxy[bytes]", characteristic.obj)

        def received(value: bytes) -> None:
            callback(bytearray(value))

        await self._guarded(proxy.subscribe(received))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Disable notifications and indications."""
        await self._guarded(characteristic.obj.unsubscribe())

    def _link(self) -> Connection:
        if self._connection is None or not self.is_connected:
            raise BleakError("not connected")
        return self._connection

    def _fail_if_lost(self) -> None:
        if self.radio.lost.is_set():
            raise BleakError("the radio is gone")

    def _watch(self, connection: Connection) -> None:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection, self._ended = connection, ended

        def end(*_: object) -> None:
            if ended.done():
                return
            ended.set_result(None)
            if self._disconnected_callback is not None:
                self._disconnected_callback()

        connection.on(connection.EVENT_DISCONNECTION, end)
        emitter: Any = self.radio.device
        emitter.once(self.radio.device.EVENT_FLUSH, end)

    async def _use_bond(self, connection: Connection) -> None:
        peer, bonds = str(connection.peer_address), self.radio.bonds
        try:
            await self._encrypt(connection)
        except LostBond as error:
            if bonds.confirmed(peer):
                raise
            await bonds.delete(peer)
            raise BleakError("the bond was never finished: it is made again") from error
        bonds.confirm(peer)

    async def _encrypt(self, connection: Connection) -> None:
        try:
            await self._guarded(connection.encrypt())
        except BleakError as error:
            cause = error.__cause__
            if isinstance(cause, hci.HCI_Error) and cause.error_code in KEYS_GONE:
                raise LostBond(self.address) from error
            raise

    async def _guarded(self, work: Awaitable[T]) -> T:
        """Return what `work` gives; raises BleakError when it fails or the link ends.

        bumble cancels its own futures when a link ends, which a caller could not tell
        from being cancelled itself.
        """
        if self._ended is None or self._ended.done():
            if asyncio.iscoroutine(work):
                work.close()
            raise BleakError("not connected")
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._ended), return_when="FIRST_COMPLETED")
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
        if not task.done() or task.cancelled():
            raise BleakError("disconnected")
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, att.ATT_Error):
            raise BleakGATTProtocolError(int(error.error_code)) from error
        raise BleakError(f"{type(error).__name__}: {error}") from error

    async def _discover(self, connection: Connection) -> None:
        peer = Peer(connection)
        await self._guarded(peer.request_mtu(LARGEST_MTU))
        services = BleakGATTServiceCollection()
        for service in await self._guarded(peer.discover_services()):
            await self._discover_service(services, service)
        self.services = services

    async def _discover_service(
        self, services: BleakGATTServiceCollection, service: ServiceProxy
    ) -> None:
        found = BleakGATTService(service, service.handle, text_of(service.uuid))
        services.add_service(found)
        untyped: Any = service
        discovered: Awaitable[list[CharacteristicProxy[bytes]]]
        discovered = untyped.discover_characteristics()
        for proxy in await self._guarded(discovered):
            properties: list[CharacteristicPropertyName] = [
                name
                for bit, name in CHARACTERISTIC_PROPERTIES.items()
                if int(proxy.properties) & bit
            ]
            made = BleakGATTCharacteristic(
                proxy,
                proxy.handle,
                text_of(proxy.uuid),
                properties,
                lambda: self.mtu_size - 3,
                found,
            )
            services.add_characteristic(made)
            if not int(proxy.properties) & 0x30:
                continue  # only what notifies has a descriptor that matters here
            for descriptor in await self._guarded(proxy.discover_descriptors()):
                services.add_descriptor(
                    BleakGATTDescriptor(
                        descriptor, descriptor.handle, text_of(descriptor.type), made
                    )
                )


def client_on(radio: Radio) -> type[BaseBleakClient]:
    """Return the client class for one radio, to be given to bleak as backend."""
    return type("BumbleClient", (BumbleClient,), {"radio": radio})
