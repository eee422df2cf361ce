"""Who plays in the demo: forty invented people and seven invented medicines.

Names and drugs exist nowhere else. How each takes their doses is drawn by
`analytics.simulate` from the seed here; the few with a story are set by hand.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal

from analytics.records import Period
from analytics.simulated_heart_rate import HeartRate
from backend.regimens.timing import (
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Timing,
    Weekday,
    Weekdays,
)

PAST_DAYS = 90
RECORD_NUMBERS = "https://seefeld.example/medical-record-number"
MORNING, EVENING, NIGHT = time(8), time(20), time(21)


@dataclass(frozen=True, slots=True)
class Medicine:
    """A product and how it is taken; `timing` is made for the day the regimen began."""

    gtin: str
    name: str
    drug: str
    strength: str
    unit: str
    pack_size: Decimal
    amount: Decimal
    device: Literal["box", "injector"]
    criticality: str
    timing: Callable[[datetime], Timing]
    maker: int = 0
    controlled: bool = False


@dataclass(frozen=True, slots=True)
class Character:
    """One virtual patient."""

    number: int
    given_name: str
    family_name: str
    medicine: Medicine
    zone: str
    language: str
    z: float | None
    heart: HeartRate
    out_of_range: tuple[Period, ...] = ()
    consents_to_supply: bool = True
    doses_left: int | None = None  # when the demo begins, where the story wants it so

    @property
    def seed(self) -> int:
        return 4100 + self.number

    @property
    def device_serial(self) -> str:
        return f"DL-{self.medicine.device.upper()}-{self.number:04d}"

    @property
    def wearable_serial(self) -> str:
        return f"DL-WATCH-{self.number:04d}"

    @property
    def record_number(self) -> str:
        """What the clinic knows this patient by, in the system RECORD_NUMBERS."""
        return f"{470_000 + 131 * self.number}"

    @property
    def born_on(self) -> date:
        """Between 1938 and 1987; nobody's birthday is anybody else's."""
        n = self.number
        return date(1938 + n * 17 % 50, 1 + n * 5 % 12, 1 + n * 11 % 28)

    @property
    def phone(self) -> str:
        """A number of the thousand that Ofcom keeps for fiction: it rings nowhere."""
        return f"+447700900{self.number:03d}"


def _at(*times: time) -> Callable[[datetime], Timing]:
    return lambda _began: ClockTimes(times)


MEDICINES = (
    Medicine(
        "07612345000015",
        "Exemplin 5 mg",
        "exemplin",
        "5 mg",
        "1",
        Decimal(30),
        Decimal(1),
        "box",
        "standard",
        _at(MORNING),
    ),
    Medicine(
        "07612345000022",
        "Kandexar 8 mg",
        "kandexar",
        "8 mg",
        "1",
        Decimal(56),
        Decimal(1),
        "box",
        "standard",
        _at(MORNING, EVENING),
    ),
    Medicine(
        "07612345000039",
        "Dosulin 100 U/mL",
        "dosulin",
        "100 [iU]/mL",
        "[iU]",
        Decimal(300),
        Decimal(8),
        "injector",
        "critical",
        _at(NIGHT),
        maker=1,
    ),
    Medicine(
        "07612345000046",
        "Hebdomex 10 mg",
        "hebdomex",
        "10 mg",
        "1",
        Decimal(12),
        Decimal(1),
        "box",
        "high",
        lambda _began: Weekdays((MORNING,), (Weekday.MON, Weekday.THU)),
        maker=1,
    ),
    Medicine(
        "07612345000053",
        "Cyclavir 500 mg",
        "cyclavir",
        "500 mg",
        "1",
        Decimal(42),
        Decimal(1),
        "box",
        "high",
        lambda began: Cycle(21, 7, began.date(), ClockTimes((MORNING, EVENING))),
        maker=1,
    ),
    Medicine(
        "07612345000060",
        "Octaphen 250 mg",
        "octaphen",
        "250 mg",
        "1",
        Decimal(90),
        Decimal(1),
        "box",
        "standard",
        lambda began: EveryHours(timedelta(hours=8), began),
    ),
    Medicine(
        "07612345000077",
        "Vitamex",
        "vitamex",
        "1000 [iU]",
        "1",
        Decimal(60),
        Decimal(1),
        "box",
        "standard",
        lambda _began: DailyCount(2),
    ),
)
# Medicine of each of the forty: most take one tablet in the morning.
TAKES = (0,) * 20 + (1,) * 8 + (2,) * 6 + (3,) * 2 + (4,) * 2 + (5,) + (6,)
PEOPLE = (
    "Rosa Keller",
    "Emil Brunner",
    "Lina Frei",
    "Otto Moser",
    "Ida Graf",
    "Hugo Roth",
    "Mila Wyss",
    "Jonas Suter",
    "Vera Baumann",
    "Theo Kunz",
    "Nora Berger",
    "Paul Lang",
    "Alma Vogt",
    "Felix Arnold",
    "Greta Senn",
    "Anton Marti",
    "Sofia Bianchi",
    "Luca Rossi",
    "Elena Favre",
    "Marco Blanc",
    "Anna Huber",
    "Karl Meier",
    "Eva Widmer",
    "Max Steiner",
    "Ruth Gerber",
    "Erik Schmid",
    "Lea Weber",
    "Noah Egli",
    "Iris Bosshard",
    "Oskar Fischer",
    "Clara Zimmer",
    "Leo Hofer",
    "Maja Lehner",
    "Fritz Winter",
    "Tessa Sommer",
    "Bruno Stadler",
    "Flora Ammann",
    "Janis Lutz",
    "Petra Kolb",
    "Rafael Haas",
)
FORGETFUL = {3: 1.6, 9: 1.3, 17: 1.9, 22: 1.2, 31: 1.5}
# Rosa, who can sign in, has what delivery and safety take: her next dose orders more.
STEADY = {0: -1.5}
DOSES_LEFT = {0: 7}
RACING = {5: 9.0, 26: 11.0}  # /min more at rest since four days ago
NO_SUPPLY_CONSENT = {12, 33}


def cast(now: datetime) -> Iterator[Character]:
    """Yield the forty, with their stories placed about `now`."""
    for n, name in enumerate(PEOPLE):
        given, family = name.split()
        yield Character(
            number=n + 1,
            given_name=given,
            family_name=family,
            medicine=MEDICINES[TAKES[n]],
            zone="Europe/Lisbon" if n % 13 == 12 else "Europe/Zurich",
            language=("en", "de", "es")[n % 3],
            z=(FORGETFUL | STEADY).get(n, None if n % 4 else -0.4),
            heart=HeartRate(
                base=60.0 + 3 * (n % 8),
                sleep=51.0 + 2 * (n % 8),
                steps=((now - timedelta(days=4), RACING[n]),) if n in RACING else (),
            ),
            out_of_range=tuple(_absences(n, now)),
            consents_to_supply=n not in NO_SUPPLY_CONSENT,
            doses_left=DOSES_LEFT.get(n),
        )


def _absences(n: int, now: datetime) -> Sequence[Period]:
    """One box is out of reach for three hours from now on, one was left at home."""
    if n == 7:
        return [Period(now, now + timedelta(hours=3))]
    if n == 14:
        return [Period(now - timedelta(days=3), now + timedelta(days=2))]
    return []


def began(now: datetime) -> datetime:
    """When everybody's regimen began: a UTC midnight, ninety days back."""
    day = now.date() - timedelta(days=PAST_DAYS)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
