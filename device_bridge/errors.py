"""Everything the bridge raises on purpose."""

from pathlib import Path


class BridgeError(Exception):
    """The parent of all errors this package raises."""


class MalformedRecord(BridgeError):
    """A device sent bytes that its profile cannot read.

    The record is kept raw and skipped; the stream goes on.
    """

    def __init__(self, profile: str, payload: bytes, why: str) -> None:
        super().__init__(f"{profile}: {why} in {payload.hex()}")
        self.profile = profile
        self.payload = payload
        self.why = why


class LostPeripheral(BridgeError):
    """The link to a peripheral ended, or it stopped answering. Trying again helps."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"{address}: {why}")
        self.address = address
        self.why = why


class LostBond(BridgeError):
    """The peripheral no longer accepts our keys: a person has to pair it again."""

    def __init__(
        self, address: str, why: str = "bond lost, pair again at the device"
    ) -> None:
        super().__init__(f"{address}: {why}")
        self.address = address
        self.why = why


class NoBond(LostBond):
    """The peripheral paired and made no bond that lasts, so it would ask each time."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "paired without a bond that lasts")


class WeakPairing(LostBond):
    """The peripheral offers legacy pairing alone: whoever listens gets the keys."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "offers no LE Secure Connections")


class UnseenBond(LostBond):
    """How the bond was made cannot be found out: no doses are read on trust."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(address, f"cannot see how it was paired: {why}")


class RefusedRequest(BridgeError):
    """A peripheral answered a record access request with an error code."""

    def __init__(self, request: int, code: int) -> None:
        super().__init__(f"record access opcode {request} refused with code {code}")
        self.request = request
        self.code = code


class LostRadio(BridgeError):
    """The Bluetooth controller cannot be reached."""


class BackendUnavailable(BridgeError):
    """The backend cannot take the request now; `retry_after` seconds if it said so."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class BackendRefused(BridgeError):
    """The backend will never take this request as it is."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"backend answered {status}: {body[:300]}")
        self.status = status


class BadPlan(BridgeError):
    """A simulation plan says something that no device can do."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where


class BadSpool(BridgeError):
    """The queue on disk is not one that this version can read."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class BadInput(BridgeError):
    """What a person gave a command to read is not there, or is not what it reads."""


class QueueUnavailable(BridgeError):
    """Nothing can be kept on disk now: it is full, read-only, or the queue's bound.

    Devices keep their records; trying again helps once there is space.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"nothing can be queued, devices keep their records: {why}")
        self.why = why


class BadSettings(BridgeError):
    """The environment does not say what the bridge must know."""


class UnknownPeripheral(BridgeError):
    """A peripheral of a kind we read that the backend does not list for us."""

    def __init__(self, address: str, serial: str) -> None:
        super().__init__(f"{address}: not registered for this bridge")
        self.address = address
        self.serial = serial
