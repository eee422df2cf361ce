"""What a bridge may send, and how one bad item does not spoil its batch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, cast
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

MOST_ITEMS = 1000
LARGEST_RAW = 4096
LARGEST_DETAIL = 4096  # octets of JSON
ZERO_OCTET = rb"\u0000"  # valid in JSON, in no text of PostgreSQL


def _octets(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("want hexadecimal digits")
    return bytes.fromhex(value)


def _utc(at: datetime) -> datetime:
    """The same instant in UTC; beyond the first and last year there is none."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the calendar") from None


Hash = Annotated[bytes, BeforeValidator(_octets), Field(min_length=32, max_length=32)]
Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
Raw = Annotated[Base64Bytes, Field(max_length=LARGEST_RAW)]
# An epoch is looked up with its neighbours: the next one must be a number too.
Number = Annotated[int, Field(ge=0, lt=2**31 - 1)]
Sequence32 = Annotated[int, Field(ge=0, lt=2**53)]


class Identity(BaseModel):
    """What makes a record the same record, whoever reads it and however often."""

    device_id: UUID
    epoch: Number
    sequence: Sequence32
    payload_hash: Hash


class DoseItem(Identity):
    """One stored record of a box or injector that tells of a dose, or may.

    With neither `evidence` nor `label` it is a frame nobody could decode: kept raw.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "device_id": "5f0c7a52-3f8e-4d1b-9a41-6f3f0a1f2b10",
                    "epoch": 1,
                    "sequence": 412,
                    "payload_hash": "9f86d081884c7d659a2feaa0c55ad015"
                    "a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "occurred_at": "2026-03-02T08:03:11Z",
                    "uncertainty_s": 0.4,
                    "evidence": "container_opened",
                    "compartment": 0,
                    "claimed_live": True,
                }
            ]
        }
    )

    raw: Raw | None = None
    occurred_at: Instant | None = None
    uncertainty_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    device_time: Annotated[str, Field(pattern=r"^([0-9a-f]{2}){1,32}$")] | None = None
    offset_s: Annotated[float, Field(allow_inf_nan=False)] | None = None
    evidence: Literal["container_opened", "dose_delivered"] | None = None
    label: Literal["prime", "no_measurement"] | None = None
    compartment: Annotated[int, Field(ge=0, le=255)] | None = None
    amount: Annotated[Decimal, Field(gt=0, le=10**9, max_digits=20)] | None = None
    unit: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    claimed_live: bool = False


class EventKind(StrEnum):
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


class RecordRef(BaseModel):
    """The stored record that a device event came from."""

    epoch: Number
    sequence: Sequence32
    payload_hash: Hash
    raw: Raw | None = None


class ClockRead(BaseModel):
    """How far a device's clock was ahead when it was last read, seconds."""

    offset_s: Annotated[float, Field(allow_inf_nan=False)]
    uncertainty_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class HeardUntil(BaseModel):
    """All records up to `sequence` of `epoch` were sent, as of the instant `at`."""

    epoch: Number
    sequence: Sequence32
    at: Instant
    clock: ClockRead | None = None


class Range(BaseModel):
    """Numbers of records, both included, that a device no longer has."""

    model_config = ConfigDict(strict=True)

    first: Annotated[Sequence32, Field(alias="from")]
    last: Annotated[Sequence32, Field(alias="to")]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError("a range ends behind its beginning")
        return self


class EventItem(BaseModel):
    """Something about the device itself; from a stored record, or with an own id."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "device_id": "5f0c7a52-3f8e-4d1b-9a41-6f3f0a1f2b10",
                    "kind": "heard",
                    "heard_until": {
                        "epoch": 1,
                        "sequence": 412,
                        "at": "2026-03-02T08:05:00Z",
                    },
                }
            ]
        }
    )

    device_id: UUID
    id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    kind: EventKind
    occurred_at: Instant | None = None
    record: RecordRef | None = None
    heard_until: HeardUntil | None = None
    detail: Annotated[dict[str, Any], Field(max_length=20)] = Field(
        default_factory=dict[str, Any]
    )
    claimed_live: bool = False

    @property
    def says_lost(self) -> bool:
        """Whether it names the numbers of lost records; a stored record need not."""
        return self.kind is EventKind.GAP and not self.detail.keys().isdisjoint(
            ("from", "to")
        )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind is EventKind.GAP and (self.record is None or self.says_lost):
            Range.model_validate(self.detail)
        heard = self.kind is EventKind.HEARD and self.record is None
        if heard and self.heard_until is None:
            raise ValueError("want heard_until")
        if len(orjson.dumps(self.detail)) > LARGEST_DETAIL:
            raise ValueError("detail is too large")
        return self


class Verdict(BaseModel):
    """What became of one item; anything but `rejected` is committed."""

    verdict: Literal["new", "known", "quarantined", "rejected"]
    reason: str | None = None
    detail: str | None = None


class Answer(BaseModel):
    """One verdict an item, in their order."""

    verdicts: list[Verdict]


class DoseBatch(BaseModel):
    items: Annotated[list[DoseItem], Field(min_length=1, max_length=MOST_ITEMS)]


class EventBatch(BaseModel):
    items: Annotated[list[EventItem], Field(min_length=1, max_length=MOST_ITEMS)]


class Envelope(BaseModel):
    """A batch whose items are read one by one."""

    items: Annotated[list[Any], Field(min_length=1, max_length=MOST_ITEMS)]


@dataclass(frozen=True, slots=True)
class Broken:
    """An item that breaks the schema: its identity, if any, and what is wrong."""

    identity: Identity | None
    item: dict[str, object]
    why: str


Item = TypeVar("Item", DoseItem, EventItem)


@dataclass(frozen=True, slots=True)
class Read(Generic[Item]):
    """An item as it was sent, and what could be made of it."""

    sent: dict[str, object]
    item: Item | Broken


def read(sent: Sequence[Any], kind: type[Item]) -> list[Read[Item]]:
    """Return every item of a batch, those that break the schema as Broken."""
    return [_one(value, kind) for value in sent]


def _one(value: object, kind: type[Item]) -> Read[Item]:
    sent = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if not _can_be_kept(sent):
        as_text: dict[str, object] = {"sent": json.dumps(sent)}
        return Read(as_text, Broken(_identity(sent), as_text, "sent: unstorable"))
    try:
        return Read(sent, kind.model_validate(value))
    except ValidationError as error:
        return Read(sent, Broken(_identity(sent), sent, _why(error)))


def _can_be_kept(sent: Mapping[str, object]) -> bool:
    """Whether PostgreSQL takes it as a document: no zero octet, no endless number."""
    try:
        return ZERO_OCTET not in orjson.dumps(sent)
    except orjson.JSONEncodeError:
        return False


def _identity(sent: Mapping[str, object]) -> Identity | None:
    """Which record it is, said by the item itself or by its `record`."""
    record = sent.get("record")
    named = {**cast("dict[str, object]", record)} if isinstance(record, dict) else sent
    try:
        return Identity.model_validate({**named, "device_id": sent.get("device_id")})
    except ValidationError:
        return None


def _why(error: ValidationError) -> str:
    """The first breach by place and rule, without the value that was sent."""
    first = error.errors(include_input=False, include_url=False, include_context=False)
    place = ".".join(str(part) for part in first[0]["loc"])[:100]
    return f"{place}: {first[0]['type']}"
