"""bleak's client of BlueZ, which tells what befell a bond, and nothing twice."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from bleak.backends.bluezdbus.client import BleakClientBlueZDBus
from bleak.backends.bluezdbus.manager import get_global_bluez_manager
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import NotifyCallback
from bleak.backends.service import BleakGATTServiceCollection
from bleak.exc import BleakDBusError

from device_bridge.errors import LostBond, NoBond, UnseenBond, WeakPairing
from device_bridge.radio.key_kind import KeyKind, kind_of

SOCKET = Path("/run/doseloop-bonds.socket")
HEARD_WITHIN, LOOK_EVERY = 5.0, 0.01  # seconds
ANSWER_WITHIN = 10.0  # seconds; the service starts anew for each question
REFUSED_SURELY = 3  # links to a bonded peripheral that ended before they were encrypted
REFUSED_KEYS = (
    "AuthenticationFailed",
    "AuthenticationRejected",
    "AuthenticationCanceled",
)


class BlueZClient(BleakClientBlueZDBus):
    """One link of one adapter, whose address is bound by a subclass.

    `refusals` are such links in a row as end before they are encrypted, by path.
    """

    adapter_address: ClassVar[str]
    refusals: ClassVar[dict[str, int]]

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  as in bleak
        super().__init__(*args, **options)
        self._held: dict[int, list[bytearray]] = {}
        self._echoes: dict[int, bytearray] = {}
        self._notified: dict[int, NotifyCallback] = {}

    async def connect(
        self,
        pair: bool,  # noqa: FBT001  as in bleak
        dangerous_use_bleak_cache: bool = False,  # noqa: FBT001  as in bleak
        **options: Any,  # noqa: ANN401  as in bleak
    ) -> None:
        """Connect; raises LostBond when a peripheral with a bond refuses our keys.

        BlueZ 5.66 says that to nobody, and tries again until somebody gives up: the
        kernel ends each link, because encryption fails. So it is known by links that
        came, and ended before anything could be asked.
        """
        manager, path = await get_global_bluez_manager(), str(self._device_path)
        given_up, came = asyncio.Event(), False

        def changed(connected: bool) -> None:  # noqa: FBT001  as in bleak
            nonlocal came
            if came and not connected and manager.is_paired(path):
                self.refusals[path] = self.refusals.get(path, 0) + 1
                if self.refusals[path] >= REFUSED_SURELY:
                    given_up.set()
            came = connected

        watcher = manager.add_device_watcher(path, changed, lambda _path, _value: None)
        connecting = asyncio.ensure_future(
            super().connect(pair, dangerous_use_bleak_cache, **options)
        )
        giving_up = asyncio.ensure_future(given_up.wait())
        try:
            await asyncio.wait((connecting, giving_up), return_when="FIRST_COMPLETED")
        finally:
            manager.remove_device_watcher(watcher)
            giving_up.cancel()
            connecting.cancel()
            await asyncio.wait((connecting,))
        if connecting.cancelled() or (given_up.is_set() and connecting.exception()):
            raise LostBond(self.address)
        connecting.result()
        self.refusals.pop(path, None)

    async def pair(self, *args: Any, secure: bool = False, **options: Any) -> None:  # noqa: ANN401  as in bleak
        """Make a bond, unless there is one.

        Raises LostBond when the peripheral refuses. With `secure` the bond must be of
        LE Secure Connections, else it is forgotten: raises WeakPairing, NoBond when
        none was kept, UnseenBond when nobody says.
        """
        try:
            await super().pair(*args, **options)
        except BleakDBusError as error:
            if any(name in error.dbus_error for name in REFUSED_KEYS):
                raise LostBond(self.address) from error
            raise
        if not secure:
            return
        kind = await kept_kind(self.adapter_address, self.address)
        if kind is KeyKind.LEGACY:
            await self.unpair()
            raise WeakPairing(self.address)
        if kind is KeyKind.NONE:
            raise NoBond(self.address)

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: NotifyCallback,
        **options: Any,  # noqa: ANN401  as in bleak
    ) -> None:
        """Enable notifications or indications; what we read ourselves is none."""
        handle = characteristic.handle

        def told(value: bytearray) -> None:
            if handle in self._held:
                self._held[handle].append(value)
            elif value != self._echoes.pop(handle, None):
                callback(value)

        self._notified[handle] = callback
        await super().start_notify(characteristic, told, **options)

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        **options: Any,  # noqa: ANN401  as in bleak
    ) -> bytearray:
        """Return the value, read now.

        BlueZ tells its new value to those who want to be notified, too: by another
        connection of the bus, so before or after the answer.
        """
        handle = characteristic.handle
        held = self._held[handle] = []
        try:
            value = await super().read_gatt_char(characteristic, **options)
            if value in held:
                held.remove(value)
            else:
                self._echoes[handle] = value
            return value
        finally:
            del self._held[handle]
            for one in held:
                self._notified[handle](one)

    async def _get_services(
        self,
        dangerous_use_bleak_cache: bool = False,  # noqa: FBT001  as in bleak
        **options: Any,  # noqa: ANN401  as in bleak
    ) -> BleakGATTServiceCollection:
        """Find the services, but not before bleak has heard that there is a link.

        It hears of that by another connection of the bus than the answer to Connect: a
        busy process has the answer first, takes the link for lost, and ends it.
        """
        manager, path = await get_global_bluez_manager(), str(self._device_path)
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARD_WITHIN):
                while not manager.is_connected(path):
                    await asyncio.sleep(LOOK_EVERY)
        return await super()._get_services(dangerous_use_bleak_cache, **options)


async def kept_kind(adapter: str, peripheral: str) -> KeyKind:
    """Return what a bond is worth, asking who may know; raises UnseenBond."""
    try:
        return kind_of(adapter, peripheral)
    except PermissionError:
        pass
    except (ValueError, OSError) as error:
        raise UnseenBond(peripheral, str(error)) from error
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            asked, asking = await asyncio.open_unix_connection(SOCKET)
            try:
                asking.write(f"{adapter} {peripheral}\n".encode())
                return KeyKind((await asked.readline()).decode().strip())
            finally:
                asking.close()
    except (OSError, ValueError, TimeoutError) as error:
        raise UnseenBond(peripheral, f"{SOCKET} does not answer") from error


def client_of(adapter_address: str) -> type[BlueZClient]:
    """Return the client class for one adapter, to be given to bleak as backend."""
    bound: dict[str, object] = {"adapter_address": adapter_address, "refusals": {}}
    return type("BlueZClient", (BlueZClient,), bound)
