"""Sort a vitals request: what is stored, what is kept raw, what is turned away."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from pydantic_core import to_json

from backend.ingest.vital_items import (
    Broken,
    Items,
    Origin,
    SampleItem,
    SegmentItem,
)
from backend.ingest.vital_judge import Owner, Window, known_vital, segment_of, times_of
from backend.ingest.vital_owners import Owners, Refusal
from backend.vitals.codes import Vital
from backend.vitals.quarantine import Held
from backend.vitals.segment import Outcome, Segment, milliseconds, spaced

MOST_REASONS = 20


@dataclass(slots=True)
class Sorted:
    """What is to be stored, by place in the request, and why the rest is not."""

    segments: dict[int, Segment] = field(default_factory=dict[int, Segment])
    refused: dict[int, Refusal] = field(default_factory=dict[int, Refusal])
    held: list[Held] = field(default_factory=list[Held])

    def refuse(self, place: int, refusal: Refusal, item: Origin | Broken) -> None:
        self.refused[place] = refusal
        if refusal.verdict == "quarantined":
            self.held.append(_held(refusal, item, _json([_sent(item)])))


def sort_segments(items: Items[SegmentItem], owners: Owners, window: Window) -> Sorted:
    """Return which segments are stored; a refused one never spoils another."""
    done = Sorted()
    for place, item in items.good.items():
        judged = _judge(item, owners, window)
        if isinstance(judged, Segment):
            done.segments[place] = judged
        else:
            done.refuse(place, judged, item)
    for place, broken in items.broken.items():
        done.refuse(place, _malformed(broken.origin(), owners, broken.why), broken)
    return done


def _judge(item: SegmentItem, owners: Owners, window: Window) -> Segment | Refusal:
    claim = owners.claim(item)
    if isinstance(claim, Refusal):
        return claim
    times = times_of(item)
    if times is None or "\0" in item["id"]:
        why = "id" if times else "step or offsets"
        return Refusal("quarantined", "malformed", detail=why)
    last = times.last_ms(len(item["values"]))
    objection = window.objection(times.start_ms, last)
    if objection is not None:
        return Refusal("quarantined", objection)
    owner = (
        claim if isinstance(claim, Owner) else owners.at(claim, times.start_ms, last)
    )
    if isinstance(owner, Refusal):
        return owner
    judged = segment_of(item, times, owner, window)
    if isinstance(judged, Segment):
        return judged
    return Refusal("quarantined", judged, owner.patient_id)


def _malformed(origin: Origin | None, owners: Owners, why: str) -> Refusal:
    ours = origin is not None and not isinstance(owners.claim(origin), Refusal)
    return Refusal("quarantined" if ours else "rejected", "malformed", detail=why)


# Plain samples -----------------------------------------------------------------------

# Of whom, code, unit, claimed live: what samples must share to become one segment.
Kind: TypeAlias = tuple[UUID | None, UUID | None, str, str, str, bool]
Sample: TypeAlias = tuple[int, int, float]  # instant, place, value


@dataclass(slots=True)
class Gathered:
    """Plain samples as segments without keys, and what became of the others."""

    segments: list[Segment] = field(default_factory=list[Segment])
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    reasons: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    held: list[Held] = field(default_factory=list[Held])

    def refuse(
        self, places: Sequence[int], refusal: Refusal, items: Items[SampleItem]
    ) -> None:
        """Refuse samples of one origin for one reason; they are kept as one."""
        if not places:
            return
        self.refused[refusal.verdict] += len(places)
        self.reasons += [(place, refusal.reason) for place in places[:MOST_REASONS]]
        if refusal.verdict == "quarantined":
            found = [items.good.get(place) or items.broken[place] for place in places]
            self.held.append(_held(refusal, found[0], _json([*map(_sent, found)])))

    def answer(self, outcomes: Sequence[Outcome]) -> dict[str, object]:
        """Return the verdicts on the samples as JSON values."""
        stored = sum(outcome.stored for outcome in outcomes)
        return {
            "new": stored,
            "known": self.accepted - stored,
            "quarantined": self.refused["quarantined"],
            "rejected": self.refused["rejected"],
            "reasons": [
                {"index": place, "reason": reason}
                for place, reason in sorted(self.reasons)[:MOST_REASONS]
            ],
        }


def gather(items: Items[SampleItem], owners: Owners, window: Window) -> Gathered:
    """Return the samples put together as segments, one or a few a series."""
    done = Gathered()
    for kind, samples in _by_kind(items).items():
        for owner, run in _by_owner(samples, items.good[samples[0][1]], owners):
            vital = known_vital(kind[3], kind[4])
            if isinstance(owner, Refusal):
                done.refuse([place for _, place, _ in run], owner, items)
            elif isinstance(vital, str):
                refusal = Refusal("quarantined", vital, owner.patient_id)
                done.refuse([place for _, place, _ in run], refusal, items)
            else:
                _gather_run(done, run, owner, vital, window, items, live=kind[5])
    for place, broken in items.broken.items():
        refusal = _malformed(broken.origin(), owners, broken.why)
        done.refuse([place], refusal, items)
    return done


def _by_kind(items: Items[SampleItem]) -> dict[Kind, list[Sample]]:
    kinds: dict[Kind, list[Sample]] = {}
    for place, item in items.good.items():
        kind = (
            item.get("device_id"),
            item.get("patient_id"),
            item.get("source", ""),
            item["code"],
            item["unit"],
            item.get("claimed_live", False),
        )
        sample = (milliseconds(item["at"]), place, item["value"])
        known = kinds.get(kind)
        if known is None:
            kinds[kind] = [sample]
        else:
            known.append(sample)
    return kinds


def _by_owner(
    samples: list[Sample], first: SampleItem, owners: Owners
) -> list[tuple[Owner | Refusal, list[Sample]]]:
    """Return runs of samples in order of time, each of one patient or of none."""
    claim = owners.claim(first)
    if len(samples) > 1:
        samples.sort()
    if isinstance(claim, Owner | Refusal):
        return [(claim, samples)]
    whole = owners.at(claim, samples[0][0], samples[-1][0])
    if isinstance(whole, Owner):
        return [(whole, samples)]
    runs: list[tuple[Owner | Refusal, list[Sample]]] = []
    for sample in samples:  # the device changed hands somewhere in between
        owner = owners.at(claim, sample[0], sample[0])
        if runs and runs[-1][0] == owner:
            runs[-1][1].append(sample)
        else:
            runs.append((owner, [sample]))
    return runs


def _gather_run(
    done: Gathered,
    run: list[Sample],
    owner: Owner,
    vital: Vital,
    window: Window,
    items: Items[SampleItem],
    *,
    live: bool,
) -> None:
    """Add one segment of the possible samples, two where a part of them is live."""
    firsts: dict[int, float] = {}
    wrong: dict[str, list[int]] = {}
    for at, place, value in run:
        objection = window.objection(at, at)
        if objection is None and not vital.low <= value <= vital.high:  # also a NaN
            objection = "impossible_value"
        if objection is None:
            done.accepted += 1
            firsts.setdefault(at, value)
        else:
            wrong.setdefault(objection, []).append(place)
    for reason, places in wrong.items():
        done.refuse(places, Refusal("quarantined", reason, owner.patient_id), items)
    times = list(firsts)
    turn = sum(at < window.live_from for at in times) if live else len(times)
    for part, is_live in (times[:turn], False), (times[turn:], True):
        if part:
            step, offsets = spaced(part)
            done.segments.append(
                Segment(
                    owner.patient_id,
                    owner.source_id,
                    vital.code,
                    vital.unit,
                    part[0],
                    [firsts[at] for at in part],
                    step,
                    offsets,
                    is_live,
                )
            )


def _held(refusal: Refusal, item: Origin | Broken, text: str) -> Held:
    origin = item.origin() if isinstance(item, Broken) else item
    device_id = origin.get("device_id") if origin else None
    patient_id = refusal.patient_id or (origin.get("patient_id") if origin else None)
    return Held(refusal.reason, text, patient_id, device_id)


def _sent(item: Origin | Broken) -> object:
    return item.sent if isinstance(item, Broken) else item


def _json(sent: list[object]) -> str:
    return to_json(sent, inf_nan_mode="constants").decode()
