"""The agent that BlueZ asks about pairing. Ours says yes to nobody.

A pairing that the bridge itself begins, by LE Secure Connections without a display, is
a matter between kernel and peripheral: nobody is asked. BlueZ keeps no bond, though,
while no agent is registered. Whom it does ask about is a stranger who wants to pair
with the gateway, or a peripheral that has lost its keys and wants new ones without
anybody having pressed a button: a bond is never renewed silently.
"""

import logging

from dbus_fast import DBusError
from dbus_fast.annotations import DBusObjectPath, DBusStr, DBusUInt16, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method

log = logging.getLogger(__name__)


class Agent(ServiceInterface):
    """org.bluez.Agent1, each of whose questions is answered with no."""

    def __init__(self) -> None:
        super().__init__("org.bluez.Agent1")

    @dbus_method("Release")
    def release(self) -> None:
        """Hear that BlueZ has dropped this agent."""
        log.warning("pairing agent released")

    @dbus_method("Cancel")
    def cancel(self) -> None:
        """Hear that a question needs no answer any more."""

    @dbus_method("RequestConfirmation")
    def confirm(self, device: DBusObjectPath, passkey: DBusUInt32) -> None:
        """Refuse to say that a passkey is right: nobody sees it."""
        del passkey
        raise _refused(device, "confirmation")

    @dbus_method("RequestAuthorization")
    def authorize(self, device: DBusObjectPath) -> None:
        """Refuse a pairing that the bridge did not begin."""
        raise _refused(device, "authorization")

    @dbus_method("AuthorizeService")
    def authorize_service(self, device: DBusObjectPath, uuid: DBusStr) -> None:
        """Refuse the use of a service of this gateway."""
        del uuid
        raise _refused(device, "service")

    @dbus_method("RequestPasskey")
    def passkey(self, device: DBusObjectPath) -> DBusUInt32:
        """Refuse to type a passkey."""
        raise _refused(device, "passkey")

    @dbus_method("RequestPinCode")
    def pin_code(self, device: DBusObjectPath) -> DBusStr:
        """Refuse to type a PIN."""
        raise _refused(device, "PIN")

    @dbus_method("DisplayPasskey")
    def display_passkey(
        self, device: DBusObjectPath, passkey: DBusUInt32, entered: DBusUInt16
    ) -> None:
        """Show nothing."""
        del device, passkey, entered

    @dbus_method("DisplayPinCode")
    def display_pin_code(self, device: DBusObjectPath, pin_code: DBusStr) -> None:
        """Refuse to show a PIN."""
        del pin_code
        raise _refused(device, "PIN")


def _refused(device: str, asked: str) -> DBusError:
    del device  # its path is its address, which no log needs
    log.warning("pairing refused", extra={"asked": asked})
    return DBusError("org.bluez.Error.Rejected", "not begun by the bridge")
