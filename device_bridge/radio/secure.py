"""LE Secure Connections or no pairing at all, on either end of a link."""

from collections.abc import Generator
from contextlib import contextmanager

from bumble import smp
from bumble.core import ProtocolError
from bumble.device import Connection, Device
from bumble.pairing import PairingConfig, PairingDelegate


class SecureSession(smp.Session):
    """A pairing that fails when the other side offers no Secure Connections.

    Core Specification, Volume 3, Part H, section 3.5.1: without the SC flag of both
    sides legacy pairing follows, whose keys can be computed by whoever listens.
    """

    def on_smp_pairing_request_command(
        self, command: smp.SMP_Pairing_Request_Command
    ) -> None:
        if self._secure(command.auth_req):
            super().on_smp_pairing_request_command(command)

    def on_smp_pairing_response_command(
        self, command: smp.SMP_Pairing_Response_Command
    ) -> None:
        if self._secure(command.auth_req):
            super().on_smp_pairing_response_command(command)

    def _secure(self, auth_req: int) -> bool:
        if auth_req & smp.AuthReq.SC:
            return True
        self.send_pairing_failed(smp.ErrorCode.AUTHENTICATION_REQUIREMENTS)
        return False


def is_weak(error: Exception) -> bool:
    """Return whether a pairing failed for want of Secure Connections."""
    cause = error.__cause__
    weak = smp.ErrorCode.AUTHENTICATION_REQUIREMENTS
    return isinstance(cause, ProtocolError) and cause.error_code == weak


def without_secure_connections(connection: Connection) -> PairingConfig:
    """Return how a device pairs that knows legacy pairing alone."""
    del connection  # the same for all
    silent = PairingDelegate(PairingDelegate.NO_OUTPUT_NO_INPUT)
    return PairingConfig(sc=False, mitm=False, bonding=True, delegate=silent)


@contextmanager
def legacy_pairing(device: Device) -> Generator[None]:
    """Let a controller offer legacy pairing alone while inside: to be refused."""
    kept = device.smp_session_proxy, device.pairing_config_factory
    device.smp_session_proxy = smp.Session
    device.pairing_config_factory = without_secure_connections
    try:
        yield
    finally:
        device.smp_session_proxy, device.pairing_config_factory = kept
