"""bleak's scanner over bumble."""

from functools import lru_cache
from typing import Any, ClassVar

from bleak.backends.scanner import (
    AdvertisementData,
    AdvertisementDataCallback,
    BaseBleakScanner,
)
from bleak.exc import BleakError
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Advertisement

from device_bridge.radio.adapter import Radio
from device_bridge.radio.apart import apart

SERVICE_LISTS = (
    AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.Type.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)
LAST_SHORT_LIST = AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS


def text_of(uuid: UUID) -> str:
    """Return a UUID as bleak writes it: 128 bits, lower case, with dashes."""
    return uuid.to_hex_str("-").lower() if len(uuid.uuid_bytes) == 16 else _long(uuid)


def _long(uuid: UUID) -> str:
    return f"{uuid.to_hex_str().lower():0>8}-0000-1000-8000-00805f9b34fb"


@lru_cache(maxsize=1024)
def _text(octets: bytes) -> str:
    return text_of(UUID.from_bytes(octets))  # slow: it looks through all known ones


class BumbleScanner(BaseBleakScanner):
    """Reports advertisements of one radio. `radio` is bound by a subclass."""

    radio: ClassVar[Radio]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        **_options: Any,  # noqa: ANN401  other platforms' options
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Listen until stopped."""
        self.seen_devices = {}
        self.radio.device.on("advertisement", self._on_advertisement)
        try:
            await apart(self.radio.device.start_scanning(active=self._active))
        except BaseBumbleError as error:
            raise BleakError(str(error)) from error

    async def stop(self) -> None:
        """Listen no more."""
        emitter: Any = self.radio.device
        emitter.remove_listener("advertisement", self._on_advertisement)
        if not self.radio.lost.is_set():
            await apart(self.radio.device.stop_scanning())

    def _on_advertisement(self, heard: Advertisement) -> None:
        data = _advertised(heard)
        if not self.is_allowed_uuid(data.service_uuids):
            return
        address = heard.address.to_string(with_type_qualifier=False)
        device = self.create_or_update_device(
            address, address, data.local_name, heard.address, data
        )
        self.call_detection_callbacks(device, data)


def _advertised(heard: Advertisement) -> AdvertisementData:
    services: list[str] = []
    service_data: dict[str, bytes] = {}
    name: str | None = None
    for kind, octets in heard.data.ad_structures:
        if kind in SERVICE_LISTS:
            width = 2 if kind <= LAST_SHORT_LIST else 16
            chunks = [octets[i : i + width] for i in range(0, len(octets), width)]
            services += [_text(c) for c in chunks if len(c) == width]
        elif kind == AdvertisingData.Type.SERVICE_DATA_16_BIT_UUID and len(octets) >= 2:
            service_data[_text(octets[:2])] = octets[2:]
        elif kind == AdvertisingData.Type.COMPLETE_LOCAL_NAME:
            name = octets.decode(errors="replace")
    return AdvertisementData(
        local_name=name,
        manufacturer_data={},
        service_data=service_data,
        service_uuids=services,
        tx_power=None,
        rssi=heard.rssi,
        platform_data=(heard,),
    )


def scanner_on(radio: Radio) -> type[BaseBleakScanner]:
    """Return the scanner class for one radio, to be given to bleak as backend."""
    return type("BumbleScanner", (BumbleScanner,), {"radio": radio})
