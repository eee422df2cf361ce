"""Making bonds, for devices that do not speak without one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bleak import BleakClient
from bleak.exc import BleakGATTProtocolError
from bleak.exc import BleakGATTProtocolErrorCode as Code

T = TypeVar("T")
PAIR_WITHIN = 20.0
WANTS_BOND = (Code.INSUFFICIENT_AUTHENTICATION, Code.INSUFFICIENT_ENCRYPTION)


async def bond(client: BleakClient, *, secure: bool) -> None:
    """Make or use a bond; raises LostBond, never renews one silently.

    `secure`: only by LE Secure Connections. Nobody may listen to doses; a cuff that
    knows nothing better than legacy pairing is read all the same.
    """
    async with asyncio.timeout(PAIR_WITHIN):
        await client.pair(secure=secure)


async def bonded(client: BleakClient, ask: Callable[[], Awaitable[T]]) -> T:
    """Return what `ask` gives, with a bond if the device wants one for that."""
    try:
        return await ask()
    except BleakGATTProtocolError as error:
        if error.code not in WANTS_BOND:
            raise
    await bond(client, secure=False)
    return await ask()
