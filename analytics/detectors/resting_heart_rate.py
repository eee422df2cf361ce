"""Resting heart rate that left the person's own baseline, upwards or downwards.

Measured on LifeSnaps (26 people, 55.8 patient-months with a score, no known drug): the
threshold keeps every second person at .24 false-alert episodes a patient-month; on the
others it gave 8 in 26.9, that is .30 (Poisson 95 %: .13 to .59). A lasting step was
seen within 7 days in .08 (none: chance), .18 (+3), .44 (+5), .76 (+8 /min; Wilson 95 %:
.65 to .84) of 78 injections; over random halvings +8 had .85. Few people: expect the
figures to move. The goal of .92 at +8 needs more than heart rate.
"""

from datetime import date, datetime, time, timedelta, tzinfo

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from analytics.findings import HEART_RATE, Detector, Finding, History
from analytics.records import Series, microseconds

Floats = NDArray[np.float64]
Days = NDArray[np.int64]

DAY = timedelta(days=1)
NOON = time(12)
BIN = 300_000_000  # five minutes in microseconds
HALF_HOUR = 6  # bins
LEAST_WORN = 48  # bins, four hours of a day
BASELINE_DAYS = 28
LEAST_BASELINE = 14  # days with a value
WEEK = 7  # values
POPULATION_SD = 2.0  # /min, week scale
POPULATION_WEEKS = 40.0  # what the population's SD weighs against a week of one's own
FARTHEST = 3  # days between the two that must agree
THRESHOLD = 2.9
LATEST = timedelta(hours=36)  # older nights raise nothing
# On 13 people of LifeSnaps; the threshold is from 13 others (.24 episodes a month)
MEASURED = {
    "false_alerts_per_patient_month": 0.297,
    "patient_months": 26.94,
    "chance_within_7_days": 0.077,
    "sensitivity_3_within_7_days": 0.179,
    "sensitivity_5_within_7_days": 0.436,
    "sensitivity_8_within_7_days": 0.756,
}


def five_minutes(series: Series) -> Series:
    """Return the median of each five minutes that hold samples, at their beginning.

    All that is ever looked at: the medians of these medians are the same.
    """
    order = np.lexsort((series.values, series.times // BIN))
    place, values = series.times[order] // BIN, series.values[order]
    bins, starts, counts = np.unique(place, return_index=True, return_counts=True)
    low, high = starts + (counts - 1) // 2, starts + counts // 2
    return Series(bins * BIN, (values[low] + values[high]) / 2)


def daily(series: Series, zone: tzinfo) -> tuple[Days, Floats]:
    """Return day ordinals and resting heart rates of the days that were worn enough.

    A day runs from noon to noon local and is named by the date it ends on. Its value
    is the lowest half hour: the least mean of six successive 5-minute medians, among
    at least four hours of wear. It holds for people who sleep by day, and one wrong
    sample cannot make it.
    """
    if not len(series.times):
        return np.array([], dtype=np.int64), np.array([], dtype=np.float64)
    medians = five_minutes(series)
    bins = medians.times // BIN
    first, last = (
        datetime.fromtimestamp(int(at) / 1e6, zone).date()
        for at in (series.times[0], series.times[-1])
    )
    days: list[int] = []
    values: list[float] = []
    for day in (first + n * DAY for n in range((last - first).days + 2)):
        low, high = np.searchsorted(bins, [_noon(day - DAY, zone), _noon(day, zone)])
        value = _lowest(bins[low:high], medians.values[low:high])
        if value is not None:
            days.append(day.toordinal())
            values.append(value)
    return np.array(days, dtype=np.int64), np.array(values)


def scores(days: Days, values: Floats) -> Floats:
    """Return how far each day and the one before left the baseline; NaN: unknown.

    A day's deviation is its value less the median of the 28 days before, in units of
    the person's own week-scale SD shrunk to the population's. The score is the smaller
    of two successive deviations when they agree in sign, else 0 (the two-day rule of
    NightSignal, doi:10.1038/s41591-021-01593-2, on a two-sided, scaled deviation).
    """
    scaled = np.array([_deviation(days, values, n) for n in range(len(days))])
    result = np.full(len(days), np.nan)
    for n in range(1, len(days)):
        now, before = scaled[n], scaled[n - 1]
        if days[n] - days[n - 1] <= FARTHEST and not np.isnan(now + before):
            agree = now * before > 0
            result[n] = np.sign(now) * min(abs(now), abs(before)) if agree else 0.0
    return result


def detect(history: History, now: datetime) -> list[Finding]:
    """Return a finding when the newest two nights agree; nothing on stale data.

    A day that has not ended is left out: before its night only waking hours are known.
    """
    series = history.series.get(HEART_RATE)
    if series is None:
        return []
    ended = _last_noon(now, history.zone)
    days, values = daily(series.between(now - LOOK_BACK, ended), history.zone)
    if not len(days) or _ends(int(days[-1]), history.zone) < now - LATEST:
        return []
    score = float(scores(days, values)[-1])
    if not abs(score) >= THRESHOLD:
        return []
    baseline, scale, nights = _baseline(days, values, len(days) - 1)
    way = "above" if score > 0 else "below"
    difference = float(values[-1]) - baseline
    return [
        Finding(
            code=CODE,
            subject=HEART_RATE,
            at=_ends(int(days[-1]), history.zone),
            since=_ends(int(days[-2]), history.zone),
            summary=(
                f"Resting heart rate {values[-1]:.0f}/min, {abs(difference):.0f} {way} "
                f"the person's own {baseline:.0f}/min of the 28 days before"
            ),
            numbers={
                "resting": float(values[-1]),
                "resting_day_before": float(values[-2]),
                "baseline": baseline,
                "difference": difference,
                "score": score,
                "own_sd": scale,
                "nights_in_baseline": float(nights),
            },
            parameters=PARAMETERS,
        )
    ]


def _lowest(bins: Days, medians: Floats) -> float | None:
    """Return the lowest half hour of one day, None when it was worn too little."""
    if len(bins) < LEAST_WORN:
        return None
    whole = bins[HALF_HOUR - 1 :] - bins[: -HALF_HOUR + 1] == HALF_HOUR - 1
    means = sliding_window_view(medians, HALF_HOUR).mean(axis=1)[whole]
    return float(means.min()) if len(means) else None


def _noon(day: date, zone: tzinfo) -> int:
    return microseconds(datetime.combine(day, NOON, tzinfo=zone)) // BIN


def _last_noon(now: datetime, zone: tzinfo) -> datetime:
    local = now.astimezone(zone)
    day = local.date() if local.time() >= NOON else local.date() - DAY
    return datetime.combine(day, NOON, tzinfo=zone)


def _ends(day: int, zone: tzinfo) -> datetime:
    return datetime.combine(date.fromordinal(day), NOON, tzinfo=zone)


def _deviation(days: Days, values: Floats, n: int) -> float:
    baseline, scale, nights = _baseline(days, values, n)
    if nights < LEAST_BASELINE:
        return float("nan")
    return (float(values[n]) - baseline) / scale


def _baseline(days: Days, values: Floats, n: int) -> tuple[float, float, int]:
    """Return median, scale and number of the values of the 28 days before day n."""
    low = int(np.searchsorted(days, int(days[n]) - BASELINE_DAYS))
    past = values[low:n]
    if len(past) < LEAST_BASELINE:
        return float("nan"), float("nan"), len(past)
    windows: Floats = sliding_window_view(past, WEEK).astype(np.float64)
    own_variance = float(np.median(windows, axis=1).var())
    weeks = len(past) / WEEK
    spread = weeks * own_variance + POPULATION_WEEKS * POPULATION_SD**2
    scale = float(np.sqrt(spread / (weeks + POPULATION_WEEKS)))
    return float(np.median(past)), scale, len(past)


CODE = "resting-heart-rate-changed"
LOOK_BACK = timedelta(days=BASELINE_DAYS + FARTHEST + 2)
PARAMETERS = {
    "threshold": THRESHOLD,
    "baseline_days": float(BASELINE_DAYS),
    "least_baseline": float(LEAST_BASELINE),
    "population_sd": POPULATION_SD,
    "population_weeks": POPULATION_WEEKS,
    "measured_false_alerts_per_patient_month": MEASURED[
        "false_alerts_per_patient_month"
    ],
}
DETECTOR = Detector("resting_heart_rate", CODE, LOOK_BACK, detect, (HEART_RATE,))
