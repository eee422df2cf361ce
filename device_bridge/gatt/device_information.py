"""Device Information Service 180A: its strings, 2A23, 2A50 and UDI 2BFF."""

from dataclasses import dataclass

from device_bridge.gatt.coded import named, numbered
from device_bridge.gatt.reader import Reader

HAS_LABEL, HAS_IDENTIFIER, HAS_ISSUER, HAS_AUTHORITY = 0x01, 0x02, 0x04, 0x08
VENDOR_ID_SOURCES = numbered(("bluetooth_sig", "usb_implementers_forum"), first=1)


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class SystemId:
    """The 40 bits that the maker chose and the 24 that the IEEE gave to the maker."""

    manufacturer_identifier: int
    organizationally_unique_identifier: int


@dataclass(frozen=True, slots=True)
class PnpId:
    vendor_id_source: str
    vendor_id: int
    product_id: int
    product_version: int


@dataclass(frozen=True, slots=True)
class Udi:
    """A unique device identifier; None where not sent.

    `issuer` and `authority` are the object identifiers of who issued the identifier
    and of who regulates the device.
    """

    label: str | None
    device_identifier: str | None
    issuer: str | None
    authority: str | None


def decode_text(payload: bytes) -> Text:
    """Return a string of 2A24 to 2A29; zeros at its end are padding."""
    reader = Reader("device information", payload.rstrip(b"\0"))
    return Text(reader.text(reader.left))


def decode_system_id(payload: bytes) -> SystemId:
    """Return the value of 2A23."""
    reader = Reader("system ID", payload)
    found = SystemId(reader.unsigned(5), reader.unsigned(3))
    reader.end()
    return found


def decode_pnp_id(payload: bytes) -> PnpId:
    """Return the value of 2A50."""
    reader = Reader("PnP ID", payload)
    found = PnpId(
        named(reader.unsigned(1), VENDOR_ID_SOURCES),
        reader.unsigned(2),
        reader.unsigned(2),
        reader.unsigned(2),
    )
    reader.end()
    return found


def decode_udi(payload: bytes) -> Udi:
    """Return the value of 2BFF; a string without its final zero is malformed."""
    reader = Reader("UDI", payload)
    flags = reader.unsigned(1)
    label, identifier, issuer, authority = (
        reader.terminated_text() if flags & flag else None
        for flag in (HAS_LABEL, HAS_IDENTIFIER, HAS_ISSUER, HAS_AUTHORITY)
    )
    return Udi(label, identifier, issuer, authority)
