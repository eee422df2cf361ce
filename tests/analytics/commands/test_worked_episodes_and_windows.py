"""Episodes, sliding windows and the calendar in small cases, worked out by hand.

An episode ends where its last supply does, before a gap longer than the permissible one
or a change; a patient's last one goes on to the end of the follow-up if the gap there
is permissible. docs/adherence.md has the definitions.
"""

from datetime import date
from fractions import Fraction as Of
from pathlib import Path

import pytest

from tests.analytics.commands.worked import Cell, Supply, same, worked

HUNDRED = "|--followup-duration=100"
BY_CLASS = "|--medication-change-starts-episode"
BY_DOSE = "|--dosage-change-starts-episode"
APPEND = "|--append-gap"

TWO: list[Supply] = [(0, 30), (50, 30)]  # gaps of 20, and of 20 until +100
A_THEN_B: list[Supply] = [(0, 30, "A"), (20, 30, "B"), (90, 10, "B")]
LESS: list[Supply] = [(0, 30, "A", 2), (20, 30, "A", 4), (90, 10, "A", 4)]

ONE_OF_TWO: list[tuple[Cell, ...]] = [("+0", 20, 100, "+100")]
TWO_OF_TWO: list[tuple[Cell, ...]] = [("+0", 20, 30, "+30"), ("+50", 20, 30, "+80")]

# Of every episode: start, gap after it, duration, end.
EPISODES: dict[str, tuple[list[Supply], str, list[tuple[Cell, ...]]]] = {
    # 20 is not longer than 20, neither between them nor at the end.
    "gaps just permissible": (TWO, "20", ONE_OF_TWO),
    "gaps a day too long": (TWO, "19", TWO_OF_TWO),
    "no gap is permissible": (TWO, "0", TWO_OF_TWO),
    # 3 weeks are 21 days, 2 are 14; a month is 30, a year 365.
    "3 weeks": (TWO, "3 weeks", ONE_OF_TWO),
    "2 weeks": (TWO, "2 weeks", TWO_OF_TWO),
    "a month, a gap of 30": (
        [(0, 20), (50, 20)],
        "1 month",
        [("+0", 30, 100, "+100")],
    ),
    "a month, a gap of 31": (
        [(0, 19), (50, 21)],  # 100-50-21=29 at the end
        "1 month",
        [("+0", 31, 19, "+19"), ("+50", 29, 50, "+100")],
    ),
    "a year": ([(0, 1)], "1 year", [("+0", 99, 100, "+100")]),
    # 66 % of 30 are 19.8, 67 % are 20.1.
    "66 percent of the supply": (TWO, "66 percent", TWO_OF_TWO),
    "67 percent of the supply": (TWO, "67%", ONE_OF_TWO),
    # The second lasts from +40 to +60. Before +80 the gap is 20, 100 % of its own 20
    # days, whatever was carried to it. At the end it is 100-80-20=0.
    "percent of the last supply, without what it was carried": (
        [(0, 40), (20, 20), (80, 20)],
        "100 percent",
        [("+0", 0, 100, "+100")],
    ),
    "percent of the last supply, not of the longest": (
        [(0, 40), (20, 20), (80, 20)],
        "99 percent",
        [("+0", 20, 60, "+60"), ("+80", 0, 20, "+100")],
    ),
    # Carried on: +0 to +60 without a gap, though B came at +20. Then 30 until +90.
    "a change of class": (A_THEN_B, "30", [("+0", 0, 100, "+100")]),
    # The first ends when B comes; its 10 days left go over to B, which ends at +60.
    "a change of class starts one": (
        A_THEN_B,
        f"30{BY_CLASS}",
        [("+0", 0, 20, "+20"), ("+20", 0, 80, "+100")],
    ),
    # They are lost: B ends at +50, 40 days before +90.
    "a change of class starts one, and nothing is carried": (
        A_THEN_B,
        f"30{BY_CLASS}|--carry-only-for-same-medication",
        [("+0", 0, 20, "+20"), ("+20", 40, 30, "+50"), ("+90", 0, 10, "+100")],
    ),
    "a change of class starts none, and nothing is carried": (
        A_THEN_B,
        "30|--carry-only-for-same-medication",
        [("+0", 40, 50, "+50"), ("+90", 0, 10, "+100")],
    ),
    # 10 days of 2 are 5 of 4: until 20+30+5=+55, a gap of 35.
    "a change of dose is considered": (
        LESS,
        "34|--consider-dosage-change",
        [("+0", 35, 55, "+55"), ("+90", 0, 10, "+100")],
    ),
    "a change of dose starts one": (
        LESS,
        f"35|--consider-dosage-change{BY_DOSE}",
        [("+0", 0, 20, "+20"), ("+20", 0, 80, "+100")],
    ),
    "a change of dose is none of class": (
        LESS,
        f"35{BY_CLASS}",
        [("+0", 0, 100, "+100")],
    ),
    # Of the 20 days after each, 19: to +49 and +99. The gap itself stays what it is.
    "a gap too long is appended as far as it is permissible": (
        TWO,
        f"19{APPEND}",
        [("+0", 20, 49, "+49"), ("+50", 20, 49, "+99")],
    ),
    "a permissible gap at the end is appended whole": (TWO, f"20{APPEND}", ONE_OF_TWO),
    # 33 % of 30 are 9.9: durations may have parts of days, dates have none.
    "a share is appended": (
        TWO,
        f"33 percent{APPEND}",
        [("+0", 20, 39.9, "+39"), ("+50", 20, 39.9, "+89")],
    ),
    # The gap of 10 before B is permissible: the first lasts until B comes.
    "a gap before a change is appended": (
        [(0, 30, "A"), (40, 30, "B")],
        f"20{BY_CLASS}{APPEND}",
        [("+0", 10, 40, "+40"), ("+40", 30, 50, "+90")],
    ),
    "a gap before a change": (
        [(0, 30, "A"), (40, 30, "B")],
        f"20{BY_CLASS}",
        [("+0", 10, 30, "+30"), ("+40", 30, 30, "+70")],
    ),
    # FE=+100 is of the follow-up; +101 is not. 0 days are left: an episode of none.
    "an event on the last day": (
        [(0, 30), (100, 30), (101, 30)],
        "30",
        [("+0", 70, 30, "+30"), ("+100", 0, 0, "+100")],
    ),
    # FS=+10, FE=+110: the event of +10 is in, that of +0 is not, nor what it left.
    "the follow-up begins later": (
        [(0, 30), (10, 30), (60, 30)],
        "20|--followup-start=10",
        [("+10", 20, 100, "+110")],
    ),
}


@pytest.mark.parametrize("case", EPISODES)
def test_episodes_are_what_they_are_by_hand(tmp_path: Path, case: str) -> None:
    supplies, options, want = EPISODES[case]
    columns = "episode.start", "end.episode.gap.days", "episode.duration", "episode.end"

    got = worked(tmp_path, f"episodes{HUNDRED}|--max-gap|{options}", supplies, columns)

    assert same(got, want), got


# Of every episode that is observed: its number, start and end of that, CMA.
PER_EPISODE: dict[str, tuple[list[Supply], str, list[tuple[Cell, ...]]]] = {
    # Each ends with its supply: all of it is supplied.
    "one supply each": (
        TWO,
        "CMA9|--max-gap=19",
        [(1, "+0", "+30", 1), (2, "+50", "+80", 1)],
    ),
    # 30 of 50 days, twice.
    "one for both": (TWO, "CMA9|--max-gap=20", [(1, "+0", "+100", 0.6)]),
    # CMA1 30/50, CMA2 60/100.
    "CMA1": (TWO, "CMA1|--max-gap=20", [(1, "+0", "+100", 0.6)]),
    "CMA2": (TWO, "CMA2|--max-gap=20", [(1, "+0", "+100", 0.6)]),
    # Episodes as with carry-over, but the 10 days of A are not carried into the second:
    # its 30 last to +50, then 40 days without, then 10 of 10: 40 of 80.
    "nothing is carried into an episode": (
        A_THEN_B,
        f"CMA7|--max-gap=30{BY_CLASS}",
        [(1, "+0", "+20", 1), (2, "+20", "+100", 0.5)],
    ),
    # CMA9: 70 days at 30/70, 10 at 1: the same 40 of 80.
    "nor for CMA9": (
        A_THEN_B,
        f"CMA9|--max-gap=30{BY_CLASS}",
        [(1, "+0", "+20", 1), (2, "+20", "+100", 0.5)],
    ),
    # Without carry-over B ends at +50, and 40 are too many: three. CMA2: 30/20, 30/30,
    # 10/10.
    "episodes of CMA2 are found without carry-over": (
        A_THEN_B,
        f"CMA2|--max-gap=30{BY_CLASS}",
        [(1, "+0", "+20", 1.5), (2, "+20", "+50", 1), (3, "+90", "+100", 1)],
    ),
    # OS=+10, OE=+60. Of the first +10 to +30, no event in it, but supply: CMA7 1-0/20.
    # Of the second +50 to +60.
    "observed in part": (
        TWO,
        "CMA7|--max-gap=19|--observation-start=10|--observation-duration=50",
        [(1, "+10", "+30", 1), (2, "+50", "+60", 1)],
    ),
    # OS=+30 is the end of the first: nothing of it is observed.
    "not observed": (
        TWO,
        "CMA7|--max-gap=19|--observation-start=30|--observation-duration=50",
        [(2, "+50", "+80", 1)],
    ),
    # OS=+40, OE=+90, in an episode from +0 to +100: +40 to +50 is of the gap from +30
    # on; then 30 days, then 10 without: 1-20/50. Supply from before ended at +30.
    "gaps of an episode that are observed": (
        TWO,
        "CMA8|--max-gap=20|--observation-start=40|--observation-duration=50",
        [(1, "+40", "+90", 0.6)],
    ),
    # With 19 of each gap: 30 days of 49.
    "gaps that are appended": (
        TWO,
        f"CMA7|--max-gap=19{APPEND}",
        [(1, "+0", "+49", Of(30, 49)), (2, "+50", "+99", Of(30, 49))],
    ),
}


@pytest.mark.parametrize("case", PER_EPISODE)
def test_measures_per_episode_are_what_they_are_by_hand(
    tmp_path: Path, case: str
) -> None:
    supplies, options, want = PER_EPISODE[case]
    observed = "" if "observation" in options else "|--observation-duration=100"
    columns = "episode.ID", "episode.start", "episode.end", "CMA"

    got = worked(
        tmp_path,
        f"per-episode{HUNDRED}{observed}|--measure={options}",
        supplies,
        columns,
    )

    assert same(got, want), got


THREE: list[Supply] = [(0, 30), (20, 30), (70, 30)]  # a gap of 10 before +70

# Of every window: its number, start, end, CMA.
SLIDING: dict[str, tuple[str, list[tuple[Cell, ...]]]] = {
    # 20 days at 1, 50 at 1-10/50, 30 at 1: 20+16, 32, 8+30 of 40.
    "CMA9": (
        "CMA9|--window=40|--step=30",
        [(1, "+0", "+40", 0.9), (2, "+30", "+70", 0.8), (3, "+60", "+100", 0.95)],
    ),
    # Supply until +60, and from +70 to +100.
    "CMA7": (
        "CMA7|--window=40|--step=30",
        [(1, "+0", "+40", 1), (2, "+30", "+70", 0.75), (3, "+60", "+100", 0.75)],
    ),
    # Each begins without supply: 40-20-30-10<0: 1. Only +70, on the last day: no time.
    # 30 of 30.
    "CMA6": (
        "CMA6|--window=40|--step=30",
        [(1, "+0", "+40", 1), (2, "+30", "+70", "NA"), (3, "+60", "+100", 1)],
    ),
    # The last begins at +50: +55 to +105 would not end in the observation.
    "as long as they end within": (
        "CMA7|--window=50|--step=50",
        [(1, "+0", "+50", 1), (2, "+50", "+100", 0.8)],
    ),
    "longer than the observation": ("CMA7|--window=101|--step=1", []),
    "a month every 5 weeks": (
        "CMA7|--window=1 month|--step=5 weeks",  # 30 days every 35: +70 to +100 fits
        [(1, "+0", "+30", 1), (2, "+35", "+65", Of(25, 30)), (3, "+70", "+100", 1)],
    ),
    # (100-40)/2=30 days apart.
    "3 steps": (
        "CMA7|--window=40|--steps=3",
        [(1, "+0", "+40", 1), (2, "+30", "+70", 0.75), (3, "+60", "+100", 0.75)],
    ),
    # (100-40)/1=60, but at most a window: 40; from +80 on none ends within.
    "2 steps would leave days out": (
        "CMA7|--window=40|--steps=2",
        [(1, "+0", "+40", 1), (2, "+40", "+80", 0.75)],
    ),
    # (100-95)/2=2.5 days: 0, 2.5, 5, to whole days with halves to even: 0, 2, 5.
    # Gap of 10 days each.
    "steps of parts of days": (
        "CMA7|--window=95|--steps=3",
        [
            (1, "+0", "+95", Of(85, 95)),
            (2, "+2", "+97", Of(85, 95)),
            (3, "+5", "+100", Of(85, 95)),
        ],
    ),
    # (100-98)/9 is less than a day: 1, and so three only.
    "more steps than days": (
        "CMA7|--window=98|--steps=10",
        [
            (1, "+0", "+98", Of(88, 98)),
            (2, "+1", "+99", Of(88, 98)),
            (3, "+2", "+100", Of(88, 98)),
        ],
    ),
    "one step": ("CMA7|--window=50|--steps=1", [(1, "+0", "+50", 1)]),
}


@pytest.mark.parametrize("case", SLIDING)
def test_sliding_windows_are_what_they_are_by_hand(tmp_path: Path, case: str) -> None:
    options, want = SLIDING[case]
    columns = "window.ID", "window.start", "window.end", "CMA"

    got = worked(
        tmp_path,
        f"sliding{HUNDRED}|--observation-duration=100|--measure={options}",
        THREE,
        columns,
    )

    assert same(got, want), got


Four = tuple[str, str, str, str]

# First event; followup-start, -duration, observation-start, -duration; FS, FE, OS, OE.
CALENDAR: dict[str, tuple[date, Four, Four]] = {
    # Months by their names, whatever their length, and each from where it is added to.
    "months": (
        date(2026, 1, 15),
        ("1 month", "12 months", "1 month", "3 months"),
        ("2026-02-15", "2027-02-15", "2026-03-15", "2026-06-15"),
    ),
    # There is no 31 February, so it is 1 March, and a month later 1 April.
    "the end of a month": (
        date(2026, 1, 31),
        ("1 month", "6 months", "1 month", "1 month"),
        ("2026-03-01", "2026-09-01", "2026-04-01", "2026-05-01"),
    ),
    # The last of a month is no reason to go to the last of another.
    "28 February": (
        date(2026, 2, 28),
        ("0", "2 months", "1 month", "1 month"),
        ("2026-02-28", "2026-04-28", "2026-03-28", "2026-04-28"),
    ),
    "29 February, a year on": (
        date(2024, 2, 29),
        ("0", "4 years", "1 year", "35 months"),
        ("2024-02-29", "2028-02-29", "2025-03-01", "2028-02-01"),
    ),
    # 31 March - 1 month is no 31 February either.
    "months before the first event": (
        date(2026, 3, 31),
        ("-1 month", "2 months", "30", "1 month"),
        ("2026-03-01", "2026-05-01", "2026-03-31", "2026-05-01"),
    ),
    # 1.5 weeks are 10.5 days and 2.5 weeks 17.5: halves go to even, 10 and 18.
    "weeks": (
        date(2026, 1, 1),
        ("1.5 weeks", "10 weeks", "2.5 weeks", "2 weeks"),
        ("2026-01-11", "2026-03-22", "2026-01-29", "2026-02-12"),
    ),
    # 1.5 months are two, 2.5 as well.
    "parts of months": (
        date(2026, 1, 1),
        ("0", "1.5 years", "1.5 months", "2.5 months"),
        ("2026-01-01", "2028-01-01", "2026-03-01", "2026-05-01"),
    ),
}


@pytest.mark.parametrize("case", CALENDAR)
def test_windows_lie_in_the_calendar_as_by_hand(tmp_path: Path, case: str) -> None:
    first, lengths, want = CALENDAR[case]
    names = "followup-start", "followup-duration", "observation-start"
    options = "|".join(
        f"--{name}={length}"
        for name, length in zip((*names, "observation-duration"), lengths, strict=True)
    )
    columns = ".FU.START.DATE", ".FU.END.DATE", ".OBS.START.DATE", ".OBS.END.DATE"
    start = (date.fromisoformat(want[0]) - first).days

    supplies = [(day, 1) for day in sorted({0, max(0, start)})]

    got = worked(tmp_path, f"gaps|{options}", supplies, columns, first)

    assert got[-1] == tuple(
        f"+{(date.fromisoformat(day) - first).days}" for day in want
    )
