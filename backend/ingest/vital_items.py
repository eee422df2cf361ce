"""What a vitals request may hold, and how one bad item does not spoil the rest.

A whole request is read in one pass by pydantic's own JSON reader into plain
dictionaries. Only when something in it breaks the schema is it read item by item.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar, cast
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    with_config,
)
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from backend.errors import Malformed, Unprocessable
from backend.ingest.items import Verdict

MOST_SEGMENTS = 1000
MOST_SAMPLES = 100_000
MOST_VALUES = 10_000

Text32 = Annotated[str, Field(min_length=1, max_length=32)]
Text64 = Annotated[str, Field(min_length=1, max_length=64)]
Text128 = Annotated[str, Field(min_length=1, max_length=128)]

SEGMENT: dict[str, JsonValue] = {
    "id": "5f0c7a52-3f8e-4d1b-9a41-6f3f0a1f2b10:1:412",
    "device_id": "5f0c7a52-3f8e-4d1b-9a41-6f3f0a1f2b10",
    "code": "8867-4",
    "unit": "/min",
    "start": "2026-03-02T08:03:11Z",
    "step": 1.0,
    "values": [61, 61, 62, 64],
    "claimed_live": True,
}
SAMPLE: dict[str, JsonValue] = {
    "patient_id": "0b6f9a1e-8d0a-4a1c-8d55-0d5b5f0a7c11",
    "source": "acme-cloud",
    "code": "59408-5",
    "unit": "%",
    "at": "2026-03-02T08:03:11Z",
    "value": 97,
}


@with_config(ConfigDict(strict=True))
class Origin(TypedDict):
    """Of whom: a device, or a patient and the name of a vendor's export."""

    device_id: NotRequired[UUID]
    patient_id: NotRequired[UUID]
    source: NotRequired[Text64]
    code: Text32
    unit: Text32
    claimed_live: NotRequired[bool]


@with_config(ConfigDict(strict=True, json_schema_extra={"examples": [SEGMENT]}))
class SegmentItem(Origin):
    """A run of samples: evenly spaced by `step` seconds, or at `offsets` seconds.

    `id` is stable over retries; its first acceptance fixes `start`.
    """

    id: Text128
    start: AwareDatetime
    step: NotRequired[Annotated[float, Field(ge=0.001, le=1e9, allow_inf_nan=False)]]
    offsets: NotRequired[
        Annotated[
            list[Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]],
            Field(max_length=MOST_VALUES),
        ]
    ]
    values: Annotated[list[float], Field(min_length=1, max_length=MOST_VALUES)]


@with_config(ConfigDict(strict=True, json_schema_extra={"examples": [SAMPLE]}))
class SampleItem(Origin):
    """One sample; identity is (patient, source, code, instant)."""

    at: AwareDatetime
    value: float


@with_config(ConfigDict(strict=True))
class VitalsBody(TypedDict):
    segments: NotRequired[Annotated[list[SegmentItem], Field(max_length=MOST_SEGMENTS)]]
    samples: NotRequired[Annotated[list[SampleItem], Field(max_length=MOST_SAMPLES)]]


class VitalsBatch(BaseModel):
    """Segments, plain samples, or both; at most 100,000 values in all."""

    segments: Annotated[list[SegmentItem], Field(max_length=MOST_SEGMENTS)] = []
    samples: Annotated[list[SampleItem], Field(max_length=MOST_SAMPLES)] = []


class SegmentVerdict(Verdict):
    """`stored` samples were new; `known` ones were there before."""

    stored: int = 0
    known: int = 0


class SampleReason(BaseModel):
    index: int
    reason: str


class SampleVerdicts(BaseModel):
    """What became of the samples: counts, and why for the first 20 not stored."""

    new: int
    known: int
    quarantined: int
    rejected: int
    reasons: list[SampleReason]


class VitalsAnswer(BaseModel):
    segments: list[SegmentVerdict]
    samples: SampleVerdicts


@dataclass(frozen=True, slots=True)
class Broken:
    """An item that breaks the schema, as it was sent; `why` names place and rule."""

    sent: Any
    why: str

    def origin(self) -> "Origin | None":
        """Return of whom it is, if that much can be read."""
        if not isinstance(self.sent, dict):
            return None
        sent = cast("dict[str, Any]", self.sent)
        asked = {name: sent[name] for name in WHO if name in sent}
        try:
            return ORIGIN.validate_json(
                to_json({"code": "-", "unit": "-", **asked}, inf_nan_mode="constants")
            )
        except ValidationError:
            return None


Item = TypeVar("Item", SegmentItem, SampleItem)


@dataclass(frozen=True, slots=True)
class Items(Generic[Item]):
    """The items of one kind that can be read, by place, and those that cannot."""

    good: dict[int, Item]
    broken: dict[int, Broken]

    def __len__(self) -> int:
        return len(self.good) + len(self.broken)


@dataclass(frozen=True, slots=True)
class Batch:
    segments: Items[SegmentItem]
    samples: Items[SampleItem]


WHO = ("device_id", "patient_id", "source")
ORIGIN = TypeAdapter(Origin)
BODY = TypeAdapter(VitalsBody)
ONE_SEGMENT = TypeAdapter(SegmentItem)
ONE_SAMPLE = TypeAdapter(SampleItem)
LOOSE = TypeAdapter(dict[Literal["segments", "samples"], list[Any]])


def read(body: bytes) -> Batch:
    """Return the items of a request.

    Raises Malformed when the body is no JSON and Unprocessable when it is no batch.
    """
    try:
        sent = BODY.validate_json(body)
    except ValidationError as error:
        return _bounded(_one_by_one(body, error))
    segments = dict(enumerate(sent.get("segments", ())))
    samples = dict(enumerate(sent.get("samples", ())))
    return _bounded(Batch(Items(segments, {}), Items(samples, {})))


def _bounded(batch: Batch) -> Batch:
    values = sum(len(item["values"]) for item in batch.segments.good.values())
    if (
        len(batch.segments) > MOST_SEGMENTS
        or values + len(batch.samples) > MOST_SAMPLES
    ):
        raise Unprocessable(
            f"At most {MOST_SEGMENTS:,} segments and {MOST_SAMPLES:,} samples in all.",
            code="too_long",
        )
    if not len(batch.segments) + len(batch.samples):
        raise Unprocessable("There is neither a segment nor a sample.", code="empty")
    return batch


def _one_by_one(body: bytes, error: ValidationError) -> Batch:
    first = error.errors(include_input=False, include_url=False, include_context=False)
    if first[0]["type"] == "json_invalid":
        raise Malformed("The body is not JSON.")
    try:
        sent = LOOSE.validate_python(from_json(body))
    except ValidationError:
        raise Unprocessable(
            "A batch is {'segments': [...], 'samples': [...]}.", code="no_batch"
        ) from None
    return Batch(
        _items(sent.get("segments", ()), ONE_SEGMENT),
        _items(sent.get("samples", ()), ONE_SAMPLE),
    )


def _items(sent: Sequence[Any], kind: TypeAdapter[Item]) -> Items[Item]:
    good: dict[int, Item] = {}
    broken: dict[int, Broken] = {}
    for place, value in enumerate(sent):
        try:
            good[place] = kind.validate_json(to_json(value, inf_nan_mode="constants"))
        except ValidationError as error:
            broken[place] = Broken(value, _why(error))
    return Items(good, broken)


def _why(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)
    place = ".".join(str(part) for part in first[0]["loc"])[:100]
    return f"{place}: {first[0]['type']}"
