"""Notifications that go straight to their listeners, and all else that does not."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from bumble import att
from bumble.host import Host

from device_bridge.radio.direct import DirectHost

LINK = SimpleNamespace(handle=64)
NOTIFICATION, INDICATION = b"\x1b", b"\x1d"


@pytest.fixture
def heard() -> list[bytes]:
    return []


@pytest.fixture
def events() -> list[tuple[int, int, bytes]]:
    return []


@pytest.fixture
def host(heard: list[bytes], events: list[tuple[int, int, bytes]]) -> Any:  # noqa: ANN401
    listeners: dict[int, set[Callable[[bytes], None] | object]] = {
        7: {heard.append, object()},
        9: {object()},
    }
    link = SimpleNamespace(
        gatt_client=SimpleNamespace(notification_subscribers=listeners)
    )
    made: Any = DirectHost()
    made.device = SimpleNamespace(lookup_connection={LINK.handle: link}.get)

    def note(*event: Any) -> None:  # noqa: ANN401  an event of any shape
        events.append(event)

    made.on("l2cap_pdu", note)
    return made


def test_a_notification_goes_to_its_listeners_alone(
    host: Any,  # noqa: ANN401
    heard: list[bytes],
    events: list[tuple[int, int, bytes]],
) -> None:
    host.on_l2cap_pdu(LINK, att.ATT_CID, NOTIFICATION + b"\x07\x00value")
    assert (heard, events) == ([b"value"], [])


@pytest.mark.parametrize(
    ("channel", "pdu"),
    [
        pytest.param(att.ATT_CID, INDICATION + b"\x07\x00v", id="an indication"),
        pytest.param(att.ATT_CID, NOTIFICATION + b"\x09\x00v", id="nobody listens"),
        pytest.param(att.ATT_CID, NOTIFICATION + b"\x08\x00v", id="not known"),
        pytest.param(att.ATT_CID, NOTIFICATION + b"\x07", id="cut short"),
        pytest.param(att.ATT_CID, b"", id="empty"),
        pytest.param(6, NOTIFICATION + b"\x07\x00v", id="another channel"),
    ],
)
def test_all_else_goes_the_way_of_the_library(
    host: Any,  # noqa: ANN401
    heard: list[bytes],
    events: list[tuple[int, int, bytes]],
    channel: int,
    pdu: bytes,
) -> None:
    host.on_l2cap_pdu(LINK, channel, pdu)
    assert (heard, events) == ([], [(LINK.handle, channel, pdu)])


def test_a_link_that_has_ended_is_left_to_the_library(
    host: Any,  # noqa: ANN401
    heard: list[bytes],
    events: list[tuple[int, int, bytes]],
) -> None:
    gone: Any = SimpleNamespace(handle=65)
    host.on_l2cap_pdu(gone, att.ATT_CID, NOTIFICATION + b"\x07\x00v")
    assert (heard, len(events)) == ([], 1)


def test_a_link_without_a_client_is_left_to_the_library(
    host: Any,  # noqa: ANN401
    events: list[tuple[int, int, bytes]],
) -> None:
    bare = SimpleNamespace(gatt_client=None)
    host.device = SimpleNamespace(lookup_connection={LINK.handle: bare}.get)
    host.on_l2cap_pdu(LINK, att.ATT_CID, NOTIFICATION + b"\x07\x00v")
    assert len(events) == 1


def test_the_library_still_has_what_is_replaced() -> None:
    """A new version that names these otherwise would leave the short way unused."""
    replaced = {"on_hci_packet", "on_hci_acl_data_packet", "on_l2cap_pdu"}
    assert replaced <= set(vars(Host))
