"""Ladders: who is told of a dose by which channel, step by step, until it is settled.

A step is called a rung by its name, which is part of a message's dedup key: at most one
message a dose and rung. The ladders that hold when nobody chose one are data, in
`ladders.toml`.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

from backend.errors import Unprocessable

Recipient = Literal["patient", "caregiver", "clinic"]

MINUTE = timedelta(minutes=1)
EARLIEST, LATEST = timedelta(hours=-12), timedelta(hours=24)
MOST_STEPS = 8
MOST_ALIKE = 3  # a third call is the last
WORKLIST = "worklist"
CHANNELS: Mapping[Recipient, tuple[str, ...]] = {
    "patient": ("sms", "voice", "email", "push"),
    "caregiver": ("sms", "voice", "email"),
    "clinic": (WORKLIST,),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: so long after the dose is due (before it, if below 0), to whom."""

    rung: str
    delay: timedelta
    channel: str
    recipient: Recipient


@dataclass(frozen=True, slots=True)
class Ladder:
    """Steps in the order in which they are climbed.

    `origin` says where it comes from: `critical/1` is the default of that criticality
    in version 1 of the data, `regimen/3` the third that was written for the regimen.
    """

    steps: tuple[Step, ...]
    origin: str


def default_ladder(criticality: str, remind_after: timedelta | None = None) -> Ladder:
    """Return the ladder of a criticality.

    A prescriber's `remind_after` is when the first step after the due instant goes;
    those that follow keep their distance to it.
    """
    steps, version = _defaults()
    usual = steps.get(criticality, steps["standard"])
    if remind_after is not None:
        first = next(step.delay for step in usual if step.delay > timedelta(0))
        usual = tuple(_later(step, remind_after - first) for step in usual)
    return Ladder(usual, f"{criticality}/{version}")


def ladder_of(wanted: Sequence[Mapping[str, object]], origin: str) -> Ladder:
    """Return the ladder that these steps make: minutes, channel, recipient each.

    Rungs are named here: `nudge` up to the dose, then `late`, `call`, `caregiver` and
    `clinic`, a second of a kind `late-2`. Raises Unprocessable when it is no ladder:
    no step or more than eight, steps that do not climb, a channel that cannot reach
    the recipient, a nudge to anybody but the patient.
    """
    if not 1 <= len(wanted) <= MOST_STEPS:
        raise Unprocessable(f"A ladder has 1 to {MOST_STEPS} steps.")
    steps: list[Step] = []
    alike: dict[str, int] = {}
    for step in wanted:
        made = _step(step)
        count = alike[made.rung] = alike.get(made.rung, 0) + 1
        if count > MOST_ALIKE:
            raise Unprocessable(f"A ladder has at most {MOST_ALIKE} steps of a kind.")
        name = made.rung if count == 1 else f"{made.rung}-{count}"
        steps.append(Step(name, made.delay, made.channel, made.recipient))
    if any(after.delay < before.delay for before, after in pairwise(steps)):
        raise Unprocessable("Steps stand in the order in which they are climbed.")
    return Ladder(tuple(steps), origin)


def to_json(ladder: Ladder) -> list[dict[str, object]]:
    """Return the steps as they are stored: `ladder_of` reads them."""
    return [
        {
            "minutes": step.delay // MINUTE,
            "channel": step.channel,
            "recipient": step.recipient,
        }
        for step in ladder.steps
    ]


def _step(step: Mapping[str, object]) -> Step:
    minutes, channel = step.get("minutes"), str(step.get("channel"))
    recipient = cast("Recipient", step.get("recipient"))
    if not isinstance(minutes, int) or isinstance(minutes, bool):
        raise Unprocessable("A step says after how many minutes it is climbed.")
    delay = minutes * MINUTE
    if not EARLIEST <= delay <= LATEST:
        raise Unprocessable("A step is at most 12 hours before a dose, 24 after it.")
    if recipient not in CHANNELS:
        raise Unprocessable(f"A step is for one of {', '.join(CHANNELS)}.")
    if channel not in CHANNELS[recipient]:
        reached = " or ".join(CHANNELS[recipient])
        raise Unprocessable(f"The {recipient} is reached by {reached}.")
    if delay <= timedelta(0) and recipient != "patient":
        raise Unprocessable("Only the patient is told of a dose that is not late.")
    return Step(_kind(delay, channel, recipient), delay, channel, recipient)


def _kind(delay: timedelta, channel: str, recipient: Recipient) -> str:
    if recipient != "patient":
        return recipient
    if delay <= timedelta(0):
        return "nudge"
    return "call" if channel == "voice" else "late"


def _later(step: Step, by: timedelta) -> Step:
    if step.delay <= timedelta(0):
        return step
    return Step(step.rung, step.delay + by, step.channel, step.recipient)


@cache
def _defaults() -> tuple[Mapping[str, tuple[Step, ...]], int]:
    with (Path(__file__).parent / "ladders.toml").open("rb") as file:
        data = tomllib.load(file)
    version = int(data.pop("version"))
    ladders = {
        criticality: ladder_of(steps, f"{criticality}/{version}").steps
        for criticality, steps in data.items()
    }
    return ladders, version
