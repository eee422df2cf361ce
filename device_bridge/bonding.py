"""Making bonds, for devices that do not speak without one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bleak import BleakClient
from bleak.exc import BleakDBusError, BleakGATTProtocolError
from bleak.exc import BleakGATTProtocolErrorCode as Code

from device_bridge.errors import LostBond

T = TypeVar("T")
PAIR_WITHIN = 20.0
REFUSED_KEYS = (
    "AuthenticationFailed",
    "AuthenticationRejected",
    "AuthenticationCanceled",
)
WANTS_BOND = (Code.INSUFFICIENT_AUTHENTICATION, Code.INSUFFICIENT_ENCRYPTION)


async def bond(client: BleakClient) -> None:
    """Make or use a bond; raises LostBond, never renews one silently."""
    try:
        async with asyncio.timeout(PAIR_WITHIN):
            await client.pair()
    except BleakDBusError as error:
        if any(name in error.dbus_error for name in REFUSED_KEYS):
            raise LostBond(client.address) from error
        raise


async def bonded(client: BleakClient, ask: Callable[[], Awaitable[T]]) -> T:
    """Return what `ask` gives, with a bond if the device wants one for that."""
    try:
        return await ask()
    except BleakGATTProtocolError as error:
        if error.code not in WANTS_BOND:
            raise
    await bond(client)
    return await ask()
