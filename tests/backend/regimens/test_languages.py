"""Every kind of prescription in every language, as its speakers would say it."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.regimens.timing import (
    AfterTaken,
    AsNeeded,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Food,
    Instants,
    Monthly,
    Phase,
    Taper,
    Timing,
    Together,
    Weekday,
    Weekdays,
)
from backend.regimens.wording import LANGUAGES, sentence
from backend.regimens.words import WORDS
from backend.regimens.zones import zone_named
from tests.backend.regimens.timings import timings

PARIS = zone_named("Europe/Paris")
TODAY, MARCH = date(2026, 3, 1), date(2026, 3, 3)
EIGHT, NINE = (time(8),), (time(21),)
SIX_UTC = datetime(2026, 3, 3, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INSULIN = Together(
    (
        Phase(ClockTimes(EIGHT), amount=Decimal(8), unit="[iU]", food=Food.BEFORE),
        Phase(ClockTimes(NINE), amount=Decimal(6), unit="[iU]"),
    )
)
SAID: list[tuple[Timing, str, str]] = [
    (ClockTimes(EIGHT), "morgens um 08:00 Uhr", "por la mañana a las 08:00"),
    (ClockTimes(NINE), "abends um 21:00 Uhr", "por la noche a las 21:00"),
    (ClockTimes((time(1),)), "nachts um 01:00 Uhr", "de madrugada a la 01:00"),
    (
        ClockTimes((time(8), time(20))),
        "täglich um 08:00 und 20:00 Uhr",
        "todos los días a las 08:00 y 20:00",
    ),
    (
        Weekdays(EIGHT, (Weekday.MON, Weekday.THU)),
        "montags und donnerstags um 08:00 Uhr",
        "los lunes y los jueves a las 08:00",
    ),
    (
        Weekdays(EIGHT, (Weekday.MON,), 2, MARCH),
        "alle 2 Wochen montags um 08:00 Uhr",
        "cada 2 semanas, los lunes a las 08:00",
    ),
    (
        Monthly(EIGHT, MARCH),
        "am 3. jedes Monats um 08:00 Uhr",
        "el día 3 de cada mes a las 08:00",
    ),
    (
        Monthly(EIGHT, date(2026, 1, 31), 3),
        "am 31. oder letzten Tag alle 3 Monate um 08:00 Uhr",
        "el día 31 o el último de cada 3 meses a las 08:00",
    ),
    (DailyCount(0), "keine Dosis", "ninguna dosis"),
    (DailyCount(2), "zweimal täglich", "dos veces al día"),
    (DailyCount(3), "3-mal täglich", "3 veces al día"),
    (
        Cycle(1, 1, MARCH, ClockTimes(EIGHT)),
        "alle 2 Tage um 08:00 Uhr",
        "cada 2 días a las 08:00",
    ),
    (
        Cycle(21, 7, MARCH, ClockTimes(EIGHT)),
        "morgens um 08:00 Uhr, 21 Tage lang, dann 7 Tage Pause",
        "por la mañana a las 08:00, 21 días de toma y 7 de descanso",
    ),
    (
        EveryHours(8 * HOUR, SIX_UTC),
        "alle 8 Stunden ab 3. März um 06:00 Uhr",
        "cada 8 horas desde el 3 de marzo a las 06:00",
    ),
    (
        EveryHours(HOUR, SIX_UTC),
        "jede Stunde ab 3. März um 06:00 Uhr",
        "cada hora desde el 3 de marzo a las 06:00",
    ),
    (
        Instants((SIX_UTC,)),
        "3. März um 06:00 Uhr",
        "3 de marzo a las 06:00",
    ),
    (
        AsNeeded(4, 6 * HOUR),
        "bei Bedarf, höchstens 4 Dosen in 24 Stunden, mindestens 6 Stunden Abstand",
        "si es necesario, como máximo 4 dosis en 24 horas, "
        "con al menos 6 horas entre dosis",
    ),
    (
        AfterTaken(28 * DAY, MARCH, time(10)),
        "28 Tage nach der letzten genommenen Dosis, um 10:00 Uhr, zuerst am 3. März",
        "28 días después de la última dosis tomada, a las 10:00, "
        "la primera el 3 de marzo",
    ),
    (
        AfterTaken(48 * HOUR, SIX_UTC),
        "48 Stunden nach der letzten genommenen Dosis, zuerst am 3. März um 06:00 Uhr",
        "48 horas después de la última dosis tomada, "
        "la primera el 3 de marzo a las 06:00",
    ),
    (
        Phase(ClockTimes(NINE), MARCH, date(2026, 5, 25), None, Decimal(8), "[iU]"),
        "8 Einheiten, abends um 21:00 Uhr, ab 3. März, 12 Wochen lang",
        "8 unidades, por la noche a las 21:00, desde el 3 de marzo, durante 12 semanas",
    ),
    (
        Phase(ClockTimes(EIGHT), MARCH, count=10, food=Food.AFTER),
        "morgens um 08:00 Uhr, nach dem Essen, ab 3. März, 10 Dosen",
        "por la mañana a las 08:00, después de comer, desde el 3 de marzo, 10 dosis",
    ),
    (
        Phase(ClockTimes(EIGHT), None, date(2027, 1, 2)),
        "morgens um 08:00 Uhr, bis 2. Januar 2027",
        "por la mañana a las 08:00, hasta el 2 de enero de 2027",
    ),
    (
        INSULIN,
        "8 Einheiten, morgens um 08:00 Uhr, vor dem Essen; "
        "dazu 6 Einheiten, abends um 21:00 Uhr",
        "8 unidades, por la mañana a las 08:00, antes de comer; "
        "además, 6 unidades, por la noche a las 21:00",
    ),
    (
        Taper(
            (
                Phase(
                    ClockTimes(EIGHT),
                    MARCH,
                    date(2026, 3, 7),
                    amount=Decimal("1.5"),
                    unit="{tablet}",
                ),
                Phase(
                    ClockTimes(EIGHT),
                    date(2026, 3, 8),
                    amount=Decimal(1),
                    unit="{tablet}",
                ),
            )
        ),
        "1,5 Tabletten, morgens um 08:00 Uhr, ab 3. März, 5 Tage lang; "
        "danach 1 Tablette, morgens um 08:00 Uhr, ab 8. März",
        "1,5 comprimidos, por la mañana a las 08:00, desde el 3 de marzo, "
        "durante 5 días; después, 1 comprimido, por la mañana a las 08:00, "
        "desde el 8 de marzo",
    ),
]


@pytest.mark.parametrize(("timing", "german", "spanish"), SAID)
def test_every_kind_has_words_in_german_and_spanish(
    timing: Timing, german: str, spanish: str
) -> None:
    said = [
        sentence(timing, zone=PARIS, today=TODAY, language=language)
        for language in ("de", "es-MX")
    ]

    assert said == [german, spanish]


@given(timings, st.sampled_from(sorted(LANGUAGES)))
def test_whatever_can_be_prescribed_can_be_said_in_every_language(
    timing: Timing, language: str
) -> None:
    said = sentence(timing, zone=PARIS, amount=Decimal(2), unit="mg", language=language)

    assert said
    assert "None" not in said
    assert "(" not in said


def test_every_language_names_every_day_and_label() -> None:
    for words in WORDS.values():
        assert set(words.weekdays) == set(Weekday)
        assert set(words.food) == set(Food)
        months = {words.date(date(2026, n, 1), with_year=False) for n in range(1, 13)}
        assert len(months) == 12
