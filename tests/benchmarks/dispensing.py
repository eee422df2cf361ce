"""Dispensing measures: kernels, whole commands beside bare polars, and growth.

CPU-seconds throughout, of one process and all its threads; start-up is shown apart. A
cohort has 10.8 events a patient on average, as AdhereR's example has, grouped by
patient. The bare comparison reads the same events, their dates as such, and writes the
same output table; the ratio to one that leaves dates as text is shown beside it.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from analytics.adherence.cma import Cma, cma
from analytics.adherence.dispensing import Dispensings, Plan
from analytics.adherence.episodes import EpisodeRule, per_episode
from analytics.adherence.lengths import Length
from analytics.adherence.sliding import Slide, sliding

Row = tuple[str, str, str, bool]

COHORT, LARGE = 100_000, 1_000_000
GROWTH = 1_000, 10_000, 100_000, 1_000_000
KERNEL_MS, OVER_POLARS, MEMORY_GB = 2.0, 1.5, 2.0
LINEAR = 1.5  # what a patient more may cost in the largest cohort over a smaller
REPEATS = 5
FORMAT = "--date-format", "%m/%d/%Y"
PLAN = Plan(observation_start=Length(182), observation_duration=Length(365))
WHOLE = Plan()
SLIDE = Slide(Length(100), Length(15))  # 43 windows of 730 days
EPISODE = EpisodeRule(Length(180), medication_change=True)
COMMANDS: dict[str, tuple[str, ...]] = {
    "all nine CMAs": (
        *("cma", "--observation-start", "182", "--observation-duration", "365"),
    ),
    "43 sliding windows of CMA7": (
        *("sliding", "--measure", "CMA7", "--window", "100", "--step", "15"),
    ),
    "per-episode CMA9": (
        *("per-episode", "--measure", "CMA9", "--max-gap", "180"),
        "--medication-change-starts-episode",
    ),
}


def run() -> list[Row]:
    """Return rows of (name, figure, bound, whether it was met)."""
    with tempfile.TemporaryDirectory(prefix="doseloop-bench-") as folder:
        return [*_kernels(), *_commands(Path(folder)), *_growth(Path(folder))]


def cohort(patients: int, seed: int = 5) -> pl.DataFrame:
    """Return events of so many patients by patient and date."""
    chance = np.random.default_rng(seed)
    count = 1 + chance.poisson(9.8, patients)
    events = int(count.sum())
    patient = np.repeat(np.arange(1, patients + 1), count)
    day = np.cumsum(chance.integers(1, 110, events))
    first = np.cumsum(count) - count
    day += np.repeat(chance.integers(20_000, 22_000, patients) - day[first], count)
    dates = pl.Series(day.astype(np.int32)).cast(pl.Date)
    return pl.DataFrame(
        {
            "PATIENT_ID": patient,
            "DATE": dates.dt.strftime("%m/%d/%Y"),
            "PERDAY": chance.choice([2, 4, 6, 8], events),
            "CATEGORY": chance.choice(["medA", "medB"], events, p=[0.9, 0.1]),
            "DURATION": chance.choice([30, 50, 60, 90], events),
        }
    )


def arrays(table: pl.DataFrame) -> Dispensings:
    """Return a cohort's events as arrays."""
    return Dispensings.of(
        table["PATIENT_ID"].to_numpy(),
        table["DATE"].str.to_date("%m/%d/%Y").to_physical().cast(float).to_numpy(),
        table["DURATION"].cast(float).to_numpy(),
        medication=(table["CATEGORY"] == "medA").cast(int).to_numpy(),
    )


def _kernels() -> list[Row]:
    events = arrays(cohort(COHORT))
    observed, whole = PLAN.windows(events), WHOLE.windows(events)

    def drained(parts: Iterable[object]) -> None:
        for _ in parts:
            pass

    kernels: dict[str, Callable[[], object]] = {
        "all nine CMAs": lambda: [
            found.value for found in cma(events, observed, list(Cma)).values()
        ],
        "43 sliding windows of CMA7": lambda: drained(
            sliding(events, whole, SLIDE, Cma.CMA7)
        ),
        "per-episode CMA9": lambda: drained(
            per_episode(events, whole, EPISODE, Cma.CMA9)
        ),
    }
    rows: list[Row] = []
    for name, kernel in kernels.items():
        spent = [1e6 * _spent(kernel) / COHORT for _ in range(REPEATS)]
        best, middle = min(spent), median(spent)
        rows.append(
            (
                f"dispensing, kernel of {name}: CPU-ms a 1,000 patients",
                f"{middle:.2f} (least {best:.2f})",
                f"<= {KERNEL_MS}",
                middle <= KERNEL_MS,
            )
        )
    return rows


def _commands(folder: Path) -> list[Row]:
    """Whole commands from CSV to CSV, beside reading and writing the same tables.

    What either costs for ten patients is its start-up and is taken off.
    """
    many, few = folder / "events.csv", folder / "few.csv"
    cohort(COHORT).write_csv(many)
    cohort(10).write_csv(few)
    rows: list[Row] = []
    for name, (command, *options) in COMMANDS.items():
        whole, bare, as_text = (_Spent(many, few) for _ in range(3))
        for _ in range(REPEATS):
            for path in (many, few):
                out = path.with_suffix(".out")
                words = [command, str(path), *FORMAT, *options, "-o", str(out)]
                whole.of[path].append(_measured(words)[0])
                bare.of[path].append(_bare(path, out, TYPED))
                as_text.of[path].append(_bare(path, out))
        ratio = whole.more / bare.more
        rows.append(
            (
                f"dispensing, {name}, CSV to CSV: CPU over bare polars",
                f"{ratio:.2f} ({whole.more:.2f} s over {bare.more:.2f}; start-up "
                f"{whole.start:.2f}; dates left as text: {as_text.more:.2f} s, "
                f"{whole.more / as_text.more:.2f})",
                f"<= {OVER_POLARS}",
                ratio <= OVER_POLARS,
            )
        )
    return rows


class _Spent:
    """CPU-seconds of runs for many patients, and for few: the start-up."""

    def __init__(self, many: Path, few: Path) -> None:
        self.of: dict[Path, list[float]] = {many: [], few: []}
        self._many, self._few = self.of.values()

    @property
    def start(self) -> float:
        return median(self._few)

    @property
    def more(self) -> float:
        return median(self._many) - self.start


def _growth(folder: Path) -> list[Row]:
    """CMA7 of cohorts, each ten times as large, and the memory of the largest.

    Of few patients start-up is nearly all; what a patient more costs is compared
    between the larger cohorts.
    """
    path, out = folder / "growth.csv", folder / "cma7.csv"
    words = ["cma", str(path), *FORMAT, "--measures", "CMA7", "-o", str(out)]
    seconds: list[float] = []
    peak = 0.0
    for patients in GROWTH:
        cohort(patients).write_csv(path)
        repeats = 1 if patients == LARGE else REPEATS
        spent, peaks = zip(*(_measured(words) for _ in range(repeats)), strict=True)
        seconds.append(median(spent))
        peak = max(peaks)
    shown = ", ".join(
        f"{patients:,}: {spent:.2f}"
        for patients, spent in zip(GROWTH, seconds, strict=True)
    )
    _, ten, hundred, million = seconds
    ratio = (million - hundred) / (hundred - ten) / 10
    return [
        (
            "dispensing, CMA7 CSV to CSV, start-up and all: CPU-s by patients",
            f"{shown}; one more of the last over one of the third: {ratio:.2f}",
            f"<= {LINEAR}",
            ratio <= LINEAR,
        ),
        (
            f"dispensing, CMA7 of {LARGE:,} patients: GB at most",
            f"{peak:.2f}",
            f"<= {MEMORY_GB}",
            peak <= MEMORY_GB,
        ),
    ]


TYPED = "table = table.with_columns(pl.col('DATE').str.to_date(sys.argv[4]))"


def _bare(path: Path, out: Path, then: str = "") -> float:
    """Return the CPU that a new process needs to read the events and write the output.

    What is done with the events `then` counts. The output is brought into memory before
    it is written, which does not.
    """
    copy = (
        "import sys, time\n"
        "import polars as pl\n"
        "began = time.process_time()\n"
        "table = pl.read_csv(sys.argv[1])\n"
        f"{then}\n"
        "read = time.process_time() - began\n"
        "table = pl.read_csv(sys.argv[2], null_values='NA', try_parse_dates=True)\n"
        "began = time.process_time()\n"
        "table.write_csv(sys.argv[3], null_value='NA')\n"
        "print(read + time.process_time() - began)\n"
    )
    bare = path.with_name("bare.csv")
    words = [*map(str, (path, out, bare)), FORMAT[1]]
    done = subprocess.run(
        [sys.executable, "-c", copy, *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _spent(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _measured(words: Sequence[str]) -> tuple[float, float]:
    """Run a command; return its CPU-seconds and its largest memory in GB."""
    report = (
        "import sys, resource\n"
        "from analytics.__main__ import main\n"
        "try:\n"
        "    left = main(sys.argv[1:])\n"
        "except SystemExit as stop:\n"
        "    left = stop.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)\n"
        "raise SystemExit(left)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", report, *words],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, kilobytes = done.stderr.split()[-2:]
    return float(seconds), float(kilobytes) / 2**20
