"""Devices, whom they serve, what they recorded and when they were last heard."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from backend.database.columns import Row, big, document, instant, octets, text


class Device(Row, table=True):
    """A registered device; kind `box`, `injector`, `wearable`, `cuff`, `monitor`."""

    device_id: UUID = Field(default_factory=uuid4, primary_key=True)
    clinic_id: UUID = Field(foreign_key="clinic.clinic_id", index=True)
    kind: str = text()
    maker: str = text()
    model: str = text()
    serial: str = text()
    udi: str | None = text(default=None)
    registered_at: datetime = instant()
    retired_at: datetime | None = instant(default=None)

    __table_args__ = (UniqueConstraint("maker", "serial"),)


class Assignment(Row, table=True):
    """A compartment of a device serves a patient, from `since` until `until`.

    Never overlapping for one (device, compartment): writers lock the device row first.
    """

    patient_id: UUID = Field(primary_key=True)
    assignment_id: UUID = Field(default_factory=uuid4, primary_key=True)
    device_id: UUID = Field(foreign_key="device.device_id")
    compartment: int = 0
    regimen_id: UUID | None = None
    since: datetime = instant()
    until: datetime | None = instant(default=None)

    __table_args__ = (
        Index("ix_assignment_device", "device_id", "compartment", "since"),
        Index(
            "ix_assignment_regimen",
            "patient_id",
            "regimen_id",
            postgresql_include=["device_id", "since", "until"],
        ),
    )


class DeviceEpoch(Row, table=True):
    """A timeline of a device: a new one begins when its clock or numbering restarts."""

    device_id: UUID = Field(primary_key=True)
    epoch: int = Field(primary_key=True)
    after_epoch: int | None = None
    after_sequence: int | None = big(default=None)
    reason: str = text()
    opened_at: datetime = instant()


class DeviceRecord(Row, table=True):
    """One stored record of a device as it arrived, used or not.

    Identity is (device_id, epoch, sequence), independent of any patient. `status`:
    `used` (a dose event or device event came of it), `unassigned` (nobody had the
    device then), `quarantined` (kept raw, not used: see `reason`).
    """

    device_id: UUID = Field(primary_key=True)
    epoch: int = Field(primary_key=True)
    sequence: int = big(primary_key=True)
    payload_hash: bytes = octets()
    status: str = text()
    reason: str | None = text(default=None)
    item: dict[str, object] = document()
    raw: bytes | None = octets(default=None)
    bridge_id: UUID | None = None
    received_at: datetime = instant()

    __table_args__ = (Index("ix_device_record_status", "status", "received_at"),)


class DeviceConflict(Row, table=True):
    """A record whose identity was known with another payload; both are kept raw."""

    device_id: UUID = Field(primary_key=True)
    epoch: int = Field(primary_key=True)
    sequence: int = big(primary_key=True)
    payload_hash: bytes = octets(primary_key=True)
    item: dict[str, object] = document()
    raw: bytes | None = octets(default=None)
    bridge_id: UUID | None = None
    received_at: datetime = instant()


class DeviceContact(Row, table=True):
    """The one row a device that says how far it was heard and how it is.

    `sequence` is the highest record of `epoch` with no gap below it that is committed
    here; `heard_until` the instant up to which the device's silence means something.
    The clock's offset is what it was ahead when last read, none while it tells nothing.
    """

    device_id: UUID = Field(primary_key=True)
    epoch: int = 0
    sequence: int = big(default=0)
    heard_until: datetime | None = instant(default=None)
    seen_at: datetime | None = instant(default=None)
    battery_percent: int | None = None
    battery_at: datetime | None = instant(default=None)
    clock_offset_s: float | None = None
    clock_uncertainty_s: float | None = None


class DeviceEvent(Row, table=True):
    """Something about the device itself: battery, clock set, reset, gap, conflict."""

    device_id: UUID = Field(primary_key=True)
    event_id: str = text(primary_key=True)
    kind: str = text()
    occurred_at: datetime | None = instant(default=None)
    recorded_at: datetime = instant()
    epoch: int | None = None
    sequence: int | None = big(default=None)
    detail: dict[str, object] = document(default_factory=dict)
    bridge_id: UUID | None = None

    __table_args__ = (
        Index(
            "ix_device_event_hole",
            "device_id",
            postgresql_where=sql("kind IN ('gap', 'quarantine', 'conflict')"),
        ),
        Index(
            "ix_device_event_trouble",
            "device_id",
            "recorded_at",
            postgresql_where=sql(
                "kind IN ('battery_low', 'clock_drift', 'clock_jump', 'clock_set',"
                " 'clock_wrong', 'fault', 'gap', 'reset')"
            ),
        ),
    )


class DeviceReplacement(Row, table=True):
    """A device that should be replaced, or its battery, before the patient's refill.

    Proposed by a forecast from its battery levels, with the decision that holds its
    inputs: `proposed`, then `done` or `declined` by a person, or `lapsed` when a new
    battery was told of. At most one is proposed a device.
    """

    patient_id: UUID = Field(primary_key=True)
    replacement_id: UUID = Field(default_factory=uuid4, primary_key=True)
    device_id: UUID = Field(foreign_key="device.device_id")
    decision_id: UUID
    state: str = text()
    proposed_at: datetime = instant()
    act_by: datetime = instant()
    empty_early: datetime = instant()
    empty_expected: datetime = instant()
    empty_late: datetime | None = instant(default=None)
    changed_at: datetime = instant()

    __table_args__ = (
        Index(
            "ux_device_replacement_open",
            "patient_id",
            "device_id",
            unique=True,
            postgresql_where=sql("state = 'proposed'"),
        ),
        Index("ix_device_replacement_device", "device_id", "changed_at"),
    )
