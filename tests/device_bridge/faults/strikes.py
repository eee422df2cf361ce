"""What is made to fail, where, and when: once, at the nth time a step is reached."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.device_bridge.faults.steps import Step


class Fault(StrEnum):
    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CORRUPT = "corrupt"
    STALL = "stall"
    SIGNAL_LOST = "signal lost"
    CLOCK_SET = "clock set"
    CLOCK_BACK = "clock set back"
    CLOCK_LOST = "clock lost"
    CLOCK_MOVED = "clock moved without a word"
    CLOCK_DRIFTS = "clock drifts"
    RESET = "reset sequence"
    MEMORY_FULL = "memory full"
    BACKEND_AWAY = "backend away"
    KILLED = "bridge killed"
    DISK_FULL = "disk full"
    READ_ONLY = "disk read-only"


ON_THE_AIR = (
    *(Fault.DROP, Fault.DUPLICATE, Fault.REORDER, Fault.CORRUPT, Fault.STALL),
    Fault.SIGNAL_LOST,
)
OF_THE_BOX = (
    *(Fault.CLOCK_SET, Fault.CLOCK_BACK, Fault.CLOCK_LOST, Fault.RESET),
    *(Fault.CLOCK_MOVED, Fault.CLOCK_DRIFTS, Fault.MEMORY_FULL),
)
OF_THE_GATEWAY = (Fault.BACKEND_AWAY, Fault.KILLED, Fault.DISK_FULL, Fault.READ_ONLY)
HTTP_STEPS = (Step.UPLOAD, Step.TELL)
# Frames of the air carry a check sum: what arrives changed was changed before it was
# sent, and shows in a frame's form. An advertisement says nothing that counts.
WHERE_NOT: dict[Fault, tuple[Step, ...]] = {
    Fault.SIGNAL_LOST: (*HTTP_STEPS, Step.SPOOL, Step.SCAN),
    Fault.REORDER: (*HTTP_STEPS, Step.SPOOL),
    Fault.DUPLICATE: (Step.SPOOL, Step.CONNECT),
    Fault.CORRUPT: (Step.SPOOL, Step.CONNECT),
    Fault.DROP: (Step.SPOOL,),  # a write that is not done is a full disk
}


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault at the nth time (from 1) that a step is reached."""

    fault: Fault
    step: Step
    nth: int

    def __str__(self) -> str:
        return f"{self.fault} at {self.step} {self.nth}"


@dataclass(frozen=True, slots=True)
class Case:
    """Strikes on a box with records, some multi-part if notifications are `small`."""

    strikes: tuple[Strike, ...]
    small: bool = False
    seed: int = 0
    away_s: float = 3600.0  # for how long the backend goes, if it does

    def __str__(self) -> str:
        size = ", small notifications" if self.small else ""
        return f"{' + '.join(map(str, self.strikes))}{size}, seed {self.seed}"


def may_strike(fault: Fault, step: Step) -> bool:
    """Return whether such a fault can happen there."""
    return step not in WHERE_NOT.get(fault, ())


def singles(reached: dict[Step, int], *, small: bool = False) -> list[Case]:
    """Return every fault at every step: each notification, else first, second, last."""
    found: list[Case] = []
    for step, times in reached.items():
        every = step in (Step.RECORD, Step.LIVE)
        nths = range(1, times + 1) if every else sorted({1, min(2, times), times})
        for nth in nths:
            found += [
                Case((Strike(fault, step, nth),), small, len(found))
                for fault in Fault
                if may_strike(fault, step)
            ]
    return found


def pairs(
    reached: dict[Step, int], seed: int, count: int, away_s: float = 3600.0
) -> list[Case]:
    """Return `count` cases of two faults each, drawn by a seed."""
    draw, found = Random(seed), list[Case]()
    faults, steps = list(Fault), list(reached)
    while len(found) < count:
        strikes: list[Strike] = []
        while len(strikes) < 2:
            fault, step = draw.choice(faults), draw.choice(steps)
            if may_strike(fault, step):
                strikes.append(Strike(fault, step, draw.randint(1, reached[step] + 2)))
        small, drawn = draw.random() < 0.5, draw.randrange(2**32)
        found.append(Case(tuple(strikes), small, drawn, away_s))
    return found
