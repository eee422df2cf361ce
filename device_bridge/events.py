"""What the bridge reports, and its JSON shape on the way to the backend."""

import json
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from math import ceil
from typing import Any, NamedTuple

Item = dict[str, Any]
WORTH_SAYING_S = 1.0


class Evidence(StrEnum):
    CONTAINER_OPENED = "container_opened"
    DOSE_DELIVERED = "dose_delivered"


class Label(StrEnum):
    PRIME = "prime"
    NO_MEASUREMENT = "no_measurement"


class Kind(StrEnum):
    HEARD = "heard"
    BATTERY = "battery"
    BATTERY_LOW = "battery_low"
    CONTAINER_CLOSED = "container_closed"
    CLOCK_SET = "clock_set"
    CLOCK_WRONG = "clock_wrong"
    CLOCK_DRIFT = "clock_drift"
    CLOCK_JUMP = "clock_jump"
    RESET = "reset"
    FAULT = "fault"
    GAP = "gap"
    QUARANTINE = "quarantine"
    SPOOL = "spool"


@dataclass(frozen=True, slots=True)
class DoseEvent:
    """A dose as a device recorded it, free of identity and computed time."""

    evidence: Evidence
    label: Label | None = None
    compartment: int | None = None
    amount: Decimal | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something else that a device recorded."""

    kind: Kind
    detail: Item = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class VitalSegment:
    """A run of samples of one code; `offsets` are seconds from `start`."""

    id: str
    device_id: str
    code: str
    unit: str
    start: datetime
    offsets: tuple[float, ...]
    values: tuple[float, ...]


class Record(NamedTuple):
    """One stored record, decoded: who, when and what; `what` None is unreadable.

    `raw` is the message without the record number and with the current-timeline flag
    cleared, so that its hash stays the same when the device's clock is set between two
    readings; `device_time` keeps the flag as it came.
    """

    device_id: str
    epoch: int
    sequence: int
    raw: bytes
    occurred_at: datetime | None
    uncertainty_s: float
    device_time: bytes | None
    offset_s: float | None
    what: DoseEvent | DeviceEvent | None
    claimed_live: bool

    @property
    def path(self) -> str:
        """Return where this goes; what cannot be read goes where it stays raw."""
        return "device-events" if isinstance(self.what, DeviceEvent) else "dose-events"

    @property
    def _doubt(self) -> Item:
        """Return by how much a device event's time may be wrong, where it matters."""
        if self.occurred_at is None or self.uncertainty_s <= WORTH_SAYING_S:
            return {}
        return {"time_uncertainty_s": _rounded_up(self.uncertainty_s)}

    def item(self) -> Item:
        """Return the JSON item."""
        identity: Item = {
            "epoch": self.epoch,
            "sequence": self.sequence,
            "payload_hash": sha256(self.raw).hexdigest(),
            "raw": b64encode(self.raw).decode(),
        }
        if isinstance(self.what, DeviceEvent):
            return {
                "device_id": self.device_id,
                "kind": self.what.kind.value,
                "occurred_at": as_text(self.occurred_at),
                "record": identity,
                "heard_until": None,
                "detail": self.what.detail | self._doubt,
                "claimed_live": self.claimed_live,
            }
        dose = self.what
        return (
            {"device_id": self.device_id}
            | identity
            | {
                "occurred_at": as_text(self.occurred_at),
                "uncertainty_s": _rounded_up(self.uncertainty_s),
                "device_time": self.device_time.hex() if self.device_time else None,
                "offset_s": None if self.offset_s is None else round(self.offset_s, 3),
                "evidence": dose.evidence.value if dose else None,
                "label": dose.label.value if dose and dose.label else None,
                "compartment": dose.compartment if dose else None,
                "amount": f"{dose.amount:f}"
                if dose and dose.amount is not None
                else None,
                "unit": dose.unit if dose else None,
                "claimed_live": self.claimed_live,
            }
        )


def _rounded_up(seconds: float) -> float:
    """Return milliseconds: what bounds an error must not be rounded down."""
    return ceil(seconds * 1000) / 1000


def as_text(at: datetime | None) -> str | None:
    """Return ISO 8601 with offset, or None."""
    return None if at is None else at.isoformat()


def heard(
    device_id: str,
    epoch: int,
    sequence: int,
    at: datetime,
    clock: tuple[float, float] | None = None,
) -> Item:
    """Return the item that says up to when a device is known to have been heard.

    `clock`: how far its clock was ahead then, and how exactly that is known, seconds.
    """
    until: Item = {"epoch": epoch, "sequence": sequence, "at": at.isoformat()}
    if clock is not None:
        offset_s, uncertainty_s = clock
        until["clock"] = {
            "offset_s": round(offset_s, 3),
            "uncertainty_s": _rounded_up(uncertainty_s),
        }
    return {
        "id": f"{device_id}:heard:{at.isoformat()}",
        "device_id": device_id,
        "kind": Kind.HEARD.value,
        "occurred_at": at.isoformat(),
        "record": None,
        "heard_until": until,
        "detail": {},
        "claimed_live": True,
    }


def plain_event(device_id: str, kind: Kind, at: datetime, detail: Item) -> Item:
    """Return the item for something the bridge noticed itself.

    Two things noticed at one instant are two, and have ids of their own.
    """
    said = sha256(json.dumps(detail, sort_keys=True).encode()).hexdigest()[:8]
    return {
        "id": f"{device_id}:{kind.value}:{at.isoformat()}:{said}",
        "device_id": device_id,
        "kind": kind.value,
        "occurred_at": at.isoformat(),
        "record": None,
        "heard_until": None,
        "detail": detail,
        "claimed_live": True,
    }


def segment_item(segment: VitalSegment, *, live: bool) -> Item:
    """Return the item for one run of samples."""
    return {
        "id": segment.id,
        "device_id": segment.device_id,
        "code": segment.code,
        "unit": segment.unit,
        "start": segment.start.isoformat(),
        "offsets": list(segment.offsets),
        "values": list(segment.values),
        "claimed_live": live,
    }
