"""Notifications go straight from the controller's packets to who listens for them.

On its way up bumble writes out every packet for its debug log, also while that is off,
emits it as an event and looks its handler up by name: a quarter of what a record costs
this process. All but notifications still takes that way.
"""

from typing import Any

from bumble import att, hci
from bumble.device import Device
from bumble.host import Connection, Host
from bumble.transport.common import TransportSink, TransportSource

NOTIFICATION = att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION
HEAD = 3  # opcode and attribute handle


class DirectHost(Host):
    """A host that knows whose connections it carries, once it has been told."""

    device: Device | None = None

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Take a packet from the controller."""
        if isinstance(packet, hci.HCI_AclDataPacket) and self.snooper is None:
            self.on_hci_acl_data_packet(packet)
        else:
            super().on_hci_packet(packet)

    def on_l2cap_pdu(self, connection: Connection, cid: int, pdu: bytes) -> None:
        """Take the content of a channel."""
        is_notification = cid == att.ATT_CID and pdu[:1] == bytes([NOTIFICATION])
        if not (is_notification and self._passed_on(connection.handle, pdu)):
            super().on_l2cap_pdu(connection, cid, pdu)

    def _passed_on(self, connection_handle: int, pdu: bytes) -> bool:
        """Give a notification to its listeners; return False if there are none."""
        link = self.device and self.device.lookup_connection(connection_handle)
        client: Any = link and link.gatt_client
        if client is None or len(pdu) < HEAD:
            return False
        handle = int.from_bytes(pdu[1:HEAD], "little")
        # Among them is the characteristic itself, which tells who asks it: nobody does.
        known = client.notification_subscribers.get(handle, ())
        listeners = [one for one in known if callable(one)]
        for listener in listeners:
            listener(pdu[HEAD:])
        return bool(listeners)


def direct_device(
    name: str, address: hci.Address, source: TransportSource, sink: TransportSink
) -> Device:
    """Return a device as `Device.with_hci` does, on a host that takes the short way."""
    host = DirectHost(controller_source=source, controller_sink=sink)
    host.device = Device(name=name, address=address, host=host)
    return host.device
