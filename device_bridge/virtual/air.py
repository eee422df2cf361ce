"""The air between virtual controllers, and a door for hosts of other processes.

Each connection to the door is a new controller, as if a Bluetooth adapter were plugged
in; when the connection ends the adapter is unplugged and its links time out.
"""

import asyncio
import logging
from typing import cast

from bumble import hci, ll
from bumble.controller import Connection, Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink
from bumble.transport.common import PacketParser

log = logging.getLogger(__name__)

UNSUPPORTED = (
    # The link carries neither; a host that believes the feature bits fails to connect.
    hci.LeFeatureMask.LL_PRIVACY
    | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
    | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
)
ACL_OCTETS = 251
ACL_PACKETS = 64
SIGNAL_DBM = -50
REPORTED = hci.HCI_LE_Advertising_Report_Event.EventType


class VirtualController(Controller):
    """A controller that answers quickly and forgets its links when asked to."""

    le_acl_data_packet_length = ACL_OCTETS
    acl_data_packet_length = ACL_OCTETS
    total_num_le_acl_data_packets = ACL_PACKETS
    le_features = Controller.le_features & ~UNSUPPORTED

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        # As in the parent, without formatting every packet for a log nobody reads.
        if isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)
        else:
            super().on_hci_packet(packet)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        if self.hci_sink is not None:
            octets = bytes(packet)
            asyncio.get_running_loop().call_soon(self.hci_sink.on_packet, octets)

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        # The parent reports every advertisement twice, also to a passive scanner.
        if self.le_scan_enable:
            self._report(pdu.advertiser_address, REPORTED.ADV_IND, pdu.data)
        if self.le_scan_enable and self.le_scan_type:
            # An active scanner waits for what its question is answered: nothing more.
            self._report(pdu.advertiser_address, REPORTED.SCAN_RSP, b"")
        pending = self.pending_le_connection
        if pending is not None and pending.peer_address == pdu.advertiser_address:
            self.create_le_connection(pdu.advertiser_address)

    def _report(self, sender: hci.Address, kind: REPORTED, data: bytes) -> None:
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=kind,
            address_type=sender.address_type,
            address=sender,
            data=data,
            rssi=SIGNAL_DBM,
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def create_le_connection(self, peer_address: hci.Address) -> None:
        # The parent leaves the command pending for ever if a link is there already.
        if peer_address in self.le_connections:
            self._fail_pending(hci.HCI_ErrorCode.CONNECTION_ALREADY_EXISTS_ERROR)
        else:
            super().create_le_connection(peer_address)

    def on_hci_le_create_connection_command(
        self, command: hci.HCI_LE_Create_Connection_Command
    ) -> None:
        super().on_hci_le_create_connection_command(command)
        if isinstance(self.link, Air):
            self.link.call(command.peer_address)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_Packet
    ) -> hci.HCI_StatusReturnParameters:
        asyncio.get_running_loop().call_soon(
            self._fail_pending, hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_reset_command(
        self, _command: hci.HCI_Packet
    ) -> hci.HCI_StatusReturnParameters:
        self.drop_links()
        self.le_legacy_advertiser.stop()
        self.pending_le_connection = None
        self.le_scan_enable = False
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def drop_links(self) -> None:
        """End all links as a loss of signal does."""
        for connection in list(self.le_connections.values()):
            self._drop(connection)

    def unplug(self) -> None:
        """Leave the air for good."""
        self.hci_sink = None
        self.drop_links()
        self.le_legacy_advertiser.stop()
        if isinstance(self.link, Air):
            self.link.remove_controller(self)

    def _drop(self, connection: Connection) -> None:
        reason = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
        if isinstance(self.link, Air) and self.link.reaches(connection.peer_address):
            connection.send_ll_control_pdu(ll.TerminateInd(reason))
        self.on_le_disconnected(connection, reason)

    def _fail_pending(self, status: int) -> None:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=status,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address.address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )


class Air(LocalLink):
    """A link that finds controllers by address and lets advertisements reach those
    who listen: with a hundred devices the parent's search of all of them is too slow.
    """

    def __init__(self) -> None:
        super().__init__()
        # The adapters of one bridge share its address, so that they share its bonds.
        self._by_address: dict[hci.Address, list[Controller]] = {}

    def on_address_changed(self, controller: Controller) -> None:
        self._forget(controller)
        self._by_address.setdefault(controller.random_address, []).append(controller)

    def remove_controller(self, controller: Controller) -> None:
        super().remove_controller(controller)
        self._forget(controller)

    def _forget(self, controller: Controller) -> None:
        for address, those in list(self._by_address.items()):
            those[:] = [one for one in those if one is not controller]
            if not those:
                del self._by_address[address]

    def find_le_controller(
        self, address: hci.Address, sender: hci.Address | None = None
    ) -> Controller | None:
        """Return who has an address: of several, the one the sender is linked to."""
        those = self._by_address.get(address, [])
        linked = (one for one in those if sender in one.le_connections)
        return next(linked, those[0] if those else None)

    def reaches(self, address: hci.Address) -> bool:
        """Return whether somebody has that address."""
        return address in self._by_address

    def call(self, address: hci.Address) -> None:
        """Let an advertiser advertise now, because somebody waits to connect to it."""
        found = self.find_le_controller(address)
        if found is not None:
            found.le_legacy_advertiser.send_advertising_data()

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        sender = sender_controller.random_address
        found = self.find_le_controller(destination_address, sender)
        if found is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(found.on_link_acl_data, sender, transport, data)

    def send_ll_control_pdu(
        self,
        sender_address: hci.Address,
        receiver_address: hci.Address,
        packet: ll.ControlPdu,
    ) -> None:
        # The receiver may have been unplugged meanwhile; then nobody hears.
        found = self.find_le_controller(receiver_address, sender_address)
        if found is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(found.on_ll_control_pdu, sender_address, packet)

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(packet, ll.ConnectInd):
            target = self.find_le_controller(packet.advertiser_address)
            if target is not None:
                loop.call_soon(target.on_ll_advertising_pdu, packet)
            return
        for listener in self.controllers:
            waits = listener.le_scan_enable or listener.pending_le_connection
            if waits and listener is not sender_controller:
                loop.call_soon(listener.on_ll_advertising_pdu, packet)


class _Door(asyncio.Protocol):
    """One connection of a host: HCI packets in H4 framing, both ways."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._controller: VirtualController | None = None
        self._parser: PacketParser | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._controller = VirtualController("adapter", link=self._air)
        self._controller.set_packet_sink(self)
        self._parser = PacketParser(self._controller)
        log.info("adapter plugged in")

    def on_packet(self, packet: bytes) -> None:
        """Write one packet of the controller to the host."""
        if self._transport is not None:
            self._transport.write(packet)

    def pull(self) -> None:
        """End the connection, as if somebody pulled the adapter out."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._parser is not None:
            self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # an adapter pulled out gives no reason
        self._transport = None
        if self._controller is not None:
            self._controller.unplug()
        log.info("adapter unplugged")


async def open_door(air: Air, host: str, port: int) -> asyncio.Server:
    """Return a server on which hosts of other processes find a controller each."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Door(air), host, port)
