"""One Bluetooth controller reached over HCI, shared by a scanner and many clients."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from bumble.core import BaseBumbleError
from bumble.device import Connection, Device
from bumble.hci import Address
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import Transport, TransportSink, TransportSource

from device_bridge.errors import LostRadio
from device_bridge.radio.apart import apart
from device_bridge.radio.direct import direct_device
from device_bridge.radio.keys import BondStore
from device_bridge.radio.secure import SecureSession

COMMAND_TIMEOUT = 10.0
MakeDevice = Callable[[str, Address, TransportSource, TransportSink], Device]


class Radio:
    """A powered controller. `lost` is set when its transport has ended."""

    def __init__(self, device: Device, transport: Transport, bonds: BondStore) -> None:
        self.device = device
        self.bonds = bonds
        self.lost = asyncio.Event()
        # A controller makes one connection at a time.
        self.connecting = asyncio.Lock()
        self._transport = transport
        transport.source.terminated.add_done_callback(lambda _: self.lost.set())

    async def close(self) -> None:
        """Unplug the controller."""
        with suppress(OSError):
            await self._transport.close()
        self.lost.set()


async def open_radio(
    transport: str, bonds: BondStore, made: MakeDevice = direct_device
) -> Radio:
    """Return a powered radio on a bumble transport; raises LostRadio.

    `transport` is bumble's notation: `tcp-client:127.0.0.1:9001`, `usb:0` and so on.
    """
    try:
        opened = await open_transport(transport)
    except (OSError, BaseBumbleError, ValueError) as error:
        raise LostRadio(f"{transport}: {error}") from error
    return await power_on(transport, opened, bonds, made)


async def power_on(
    name: str, opened: Transport, bonds: BondStore, made: MakeDevice = direct_device
) -> Radio:
    """Return a radio on an open transport; raises LostRadio if it does not answer."""
    device = made("", bonds.own_address(), opened.source, opened.sink)
    device.keystore = bonds
    device.pairing_config_factory = _pairing_config
    device.smp_session_proxy = SecureSession
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT):
            await apart(device.power_on())
    except (TimeoutError, BaseBumbleError) as error:
        await opened.close()
        raise LostRadio(f"{name}: {error}") from error
    return Radio(device, opened, bonds)


def _pairing_config(connection: Connection) -> PairingConfig:
    del connection  # the same for all: LE Secure Connections, bonding, no display
    return PairingConfig(
        sc=True,
        mitm=False,
        bonding=True,
        delegate=PairingDelegate(PairingDelegate.NO_OUTPUT_NO_INPUT),
    )
