"""Gaps and the nine measures of small cases, worked out by hand from the definitions.

g = I - u - c; gap = max(0, g); carried on = max(0, -g), of which a change of class
leaves nothing, a change of dose the share p/p'. docs/adherence.md has the measures.
"""

from fractions import Fraction as Of
from pathlib import Path

import pytest

from tests.analytics.commands.worked import Cell, Supply, same, worked

# Followed and, unless a case says otherwise, observed from +0 to +100.
PLAN = "|--followup-duration=100|--observation-duration="
WITHIN, INTO = "|--carryover-within", "|--carryover-into"
ONE_CLASS, BY_DOSE = "|--carry-only-for-same-medication", "|--consider-dosage-change"

THREE: list[Supply] = [(0, 30), (20, 30), (70, 30)]
CHANGED: list[Supply] = [(0, 30, "A", 2), (20, 30, "B", 4), (40, 30, "B", 2)]
OF_A: list[Supply] = [(0, 30, "A", 2), (20, 30, "A", 4), (40, 30, "B", 2)]

# Of every event: interval, gap, what was carried to it.
GAPS: dict[str, tuple[list[Supply], str, list[tuple[Cell, ...]]]] = {
    # I: 20, 50, 100-70=30. g: 20-30, 50-30, 30-30, nothing carried.
    "nothing is carried": (THREE, "100", [(20, 0, 0), (50, 20, 0), (30, 0, 0)]),
    # 10 days of the first are carried to the second: 50-30-10=10.
    "carried within": (THREE, f"100{WITHIN}", [(20, 0, 0), (50, 10, 10), (30, 0, 0)]),
    # From OS=+20 on: the event of that day is the first, and nothing comes with it.
    "carried within, not into": (
        THREE,
        f"80|--observation-start=20{WITHIN}",
        [("NA", "NA", "NA"), (50, 20, 0), (30, 0, 0)],
    ),
    # The first is known, too, but has no interval in the window: 20-30 is no gap.
    "carried into": (
        THREE,
        f"80|--observation-start=20{WITHIN}{INTO}",
        [("NA", 0, 0), (50, 10, 10), (30, 0, 0)],
    ),
    "begun at the follow-up, nothing carried": (
        THREE,
        f"80|--observation-start=20{INTO}",
        [("NA", 0, 0), (50, 20, 0), (30, 0, 0)],
    ),
    # OE=+80: the event of that day is in, with nothing after it; +81 and +100 are of
    # the follow-up only; +101 is of neither. At +70: 80-70=10, 10-30: no gap, carried.
    "events on the last days of both windows": (
        [*THREE, (80, 5), (81, 5), (100, 5), (101, 5)],
        f"80{WITHIN}",
        [
            *[(20, 0, 0), (50, 10, 10), (10, 0, 0), (0, 0, 20)],
            *[("NA", "NA", "NA")] * 2,
        ],
    ),
    # 20-30: 10 on. 20-30-10: 20 on. 60-30-20=10.
    "a change of class loses nothing": (
        CHANGED,
        f"100{WITHIN}",
        [(20, 0, 0), (20, 0, 10), (60, 10, 20)],
    ),
    # A to B: nothing on. 20-30: 10 on, B to B. 60-30-10=20.
    "a change of class loses what is left": (
        CHANGED,
        f"100{WITHIN}{ONE_CLASS}",
        [(20, 0, 0), (20, 0, 0), (60, 20, 10)],
    ),
    # 10 days of 2 are 10*2/4=5 of 4. 20-30-5: 15 of 4 are 15*4/2=30 of 2. 60-30-30=0.
    "a change of dose turns days into others": (
        CHANGED,
        f"100{WITHIN}{BY_DOSE}",
        [(20, 0, 0), (20, 0, 5), (60, 0, 30)],
    ),
    # A to A: 10*2/4=5. 20-30-5: 15 left, but A to B: nothing. 60-30=30.
    "both: the class decides first": (
        OF_A,
        f"100{WITHIN}{ONE_CLASS}{BY_DOSE}",
        [(20, 0, 0), (20, 0, 5), (60, 30, 0)],
    ),
    # 0-30: all 30 are carried to the second of the day. 100-30-30=40.
    "two events of a day": (
        [(0, 30), (0, 30)],
        f"100{WITHIN}",
        [(0, 0, 0), (100, 40, 30)],
    ),
}


@pytest.mark.parametrize("case", GAPS)
def test_gaps_are_what_they_are_by_hand(tmp_path: Path, case: str) -> None:
    supplies, plan, want = GAPS[case]
    columns = "event.interval", "gap.days", ".CARRY.OVER.FROM.BEFORE"

    got = worked(tmp_path, f"gaps{PLAN}{plan}", supplies, columns)

    assert same(got, want), got


# Of every case: CMA1, 2, 3, 4; 5, 6, 7; 8, 9.
MEASURES: dict[str, tuple[list[Supply], str, list[Cell]]] = {
    # CMA1 (30+30)/70, CMA2 90/100. With carry-over one gap, of 10 (+60 to +70): CMA5
    # 1-10/70, CMA6 and 7 1-10/100. Nothing before OS: CMA8 is CMA7. CMA9: 20 days at
    # 1, 50 at 1-10/50=.8, 30 at 1: 20+40+30=90.
    "all of the follow-up": (
        THREE,
        "100",
        [Of(6, 7), 0.9, Of(6, 7), 0.9, Of(6, 7), 0.9, 0.9, 0.9, 0.9],
    ),
    # OS=+30, OE=+90; only +70 is observed: CMA1, 3, 5 have no interval. CMA2 30/20.
    # CMA6: 20-30, no gap. CMA7: the gap of 10 before +70; 1-10/60. Supply from before
    # lasts to 20+30+10=+60: CMA8 1-10/30. CMA9: 40 days at .8, 20 at 1: 52/60.
    "supply from before the window": (
        THREE,
        "60|--observation-start=30",
        ["NA", 1.5, "NA", 1, "NA", 1, Of(5, 6), Of(2, 3), Of(52, 60)],
    ),
    # The event on OE=+50 is in: CMA1 30/50, CMA2 60/50. Gap 50-30=20, then 0: .6. CMA9
    # by the follow-up's intervals: 50 days at 1-20/50.
    "an event on the last day": (
        [(0, 30), (50, 30)],
        "50",
        [0.6, 1.2, 0.6, 1, 0.6, 0.6, 0.6, 0.6, 0.6],
    ),
    # OS=+50, OE=+100. The gap of 20 before OS does not count: min(20, 50-50)=0; that
    # after it does: 50-30=20. Supply from before ends at +30. CMA2 30/50.
    "an event on the first day": (
        [(0, 30), (50, 30)],
        "50|--observation-start=50",
        ["NA", 0.6, "NA", 0.6, "NA", 0.6, 0.6, 0.6, 0.6],
    ),
    # The only event is on OE=+100: no time to divide by for CMA2, 4, 6. No supply
    # before: CMA7 and 8 count all 60 days from OS=+40. CMA9: at +0 1-70/100=.3.
    "the only event observed is on the last day": (
        [(0, 30), (100, 30)],
        "60|--observation-start=40",
        ["NA", "NA", "NA", "NA", "NA", "NA", 0, 0, 0.3],
    ),
    # No event from OS=+20 to OE=+60, one before, of gap 60-30=30: CMA7 1-30/40. Supply
    # lasts to +30: CMA8 1-30/30=0. CMA9: 1-70/100.
    "no event observed": (
        [(0, 30)],
        "40|--observation-start=20",
        [*["NA"] * 6, 0.25, 0, 0.3],
    ),
    # OS=+40, OE=+60: the gap of 30 is longer than the window: 0.
    "no event observed, and no supply": (
        [(0, 30)],
        "20|--observation-start=40",
        [*["NA"] * 6, 0, 0, 0.3],
    ),
    # FS=+10: who has no event until OE=+60 has no measure.
    "no event followed": (
        [(0, 30), (70, 30)],
        "50|--followup-start=10",
        ["NA"] * 9,
    ),
    # FS=OS=+10, OE=+90: the first event does not count. CMA7: 50 days until +60 without
    # any, then 30 of 30. CMA2 30/30. CMA9: FE=+110, 30 supplied of 50: at .6, 30*.6.
    "the first event is before the follow-up": (
        [(0, 80), (60, 30)],
        "80|--followup-start=10",
        ["NA", 1, "NA", 1, "NA", 1, Of(30, 80), Of(30, 80), Of(18, 80)],
    ),
    # A lasts to +90 and B, begun later, to 20+10=+30: what is left of A is lost to B.
    # OS=+40: CMA7 has B's gap 100-30=70, more than 60: 0. CMA8 begins when the last
    # supply from before ends, A's: 70 is more than 10, too. CMA9: B 1-70/80=1/8.
    "what is lost to another class still lasts": (
        [(0, 90, "A"), (20, 10, "B")],
        f"60|--observation-start=40{ONE_CLASS}",
        [*["NA"] * 6, 0, 0, Of(1, 8)],
    ),
    # See the gaps of these: 0, 0, 10. CMA1, 5 until +40: 60/40, 1. CMA2 90/100.
    # CMA9: 40 days at 1, 60 at 50/60.
    "classes are carried over": (
        CHANGED,
        "100",
        [1.5, 0.9, 1, 0.9, 1, 0.9, 0.9, 0.9, 0.9],
    ),
    # 0, 0, 20.
    "classes are not carried over": (
        CHANGED,
        f"100{ONE_CLASS}",
        [1.5, 0.9, 1, 0.9, 1, 0.8, 0.8, 0.8, 0.8],
    ),
    # 0, 0, 0: 5 days come to the second, 30 to the third.
    "doses are considered": (
        CHANGED,
        f"100{BY_DOSE}",
        [1.5, 0.9, 1, 0.9, 1, 1, 1, 1, 1],
    ),
    # OS=+40, OE=+100. Within it only the third counts: CMA2 30/60, CMA6 1-30/60. With
    # 30 days from before: CMA7 1. These would last to 20+30+5=+55: CMA8 1. CMA9 1.
    "doses are considered of what is carried in": (
        CHANGED,
        f"60|--observation-start=40{BY_DOSE}",
        ["NA", 0.5, "NA", 0.5, "NA", 0.5, 1, 1, 1],
    ),
    # One day: CMA1, 3, 5 have no time. CMA2 60/50. 30 carried: 50-60: no gap until OE.
    # CMA9 by the follow-up: 0 days of the first, then 60 of 100: .6.
    "two events of a day": (
        [(0, 30), (0, 30)],
        "50",
        ["NA", 1.2, "NA", 1, "NA", 1, 1, 1, 0.6],
    ),
}


@pytest.mark.parametrize("case", MEASURES)
def test_measures_are_what_they_are_by_hand(tmp_path: Path, case: str) -> None:
    supplies, plan, want = MEASURES[case]

    got = worked(tmp_path, f"cma{PLAN}{plan}", supplies, ["CMA"])

    assert same(got, [(value,) for value in want]), got
