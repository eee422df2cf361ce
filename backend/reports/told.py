"""The EMERGE report as JSON: criteria, items, and every figure behind them."""

from math import isfinite
from typing import Any

from pydantic import BaseModel

from analytics.adherence.emerge import Emerge, Item
from analytics.adherence.people import Spread
from analytics.adherence.persistence import Curve


class ItemOut(BaseModel):
    """A criterion or item; `author` where the author has to complete it."""

    number: str
    section: str
    asks: str
    says: list[str]
    author: bool


class CurveOut(BaseModel):
    """A share by day with its pointwise band; null where nobody is left to tell."""

    value: list[float | None]
    low: list[float | None]
    high: list[float | None]
    people: list[int]
    method: str
    level: float
    parameters: dict[str, float | str]


class SpreadOut(BaseModel):
    """A measure over people: mean with interval, standard deviation and quartiles."""

    people: int
    mean: float | None
    sd: float | None
    lower_quartile: float | None
    median: float | None
    upper_quartile: float | None
    unit: str
    interval: dict[str, Any] | None
    parameters: dict[str, float | str]


class EmergeOut(BaseModel):
    """The report of a cohort by the EMERGE guideline."""

    title: str
    source: str
    criteria: list[ItemOut]
    items: list[ItemOut]
    people: int
    initiated: int
    discontinued: int
    doses: int
    monitored_days: int
    unknown_days: int
    days_to_first_dose: SpreadOut
    implementation: dict[str, SpreadOut]
    curves: dict[str, CurveOut]


def told(report: Emerge) -> EmergeOut:
    """Return the report as it is answered."""
    found = report.findings
    curves = [] if found.initiation is None else [found.initiation]
    if found.curves is not None:
        whole = found.curves
        curves += [whole.implementation, whole.persistence, whole.adherence]
    return EmergeOut(
        title=report.title,
        source=report.source,
        criteria=[_item(item) for item in report.criteria],
        items=[_item(item) for item in report.items],
        people=found.people,
        initiated=found.initiated,
        discontinued=found.discontinued,
        doses=found.counts.doses,
        monitored_days=found.counts.monitored_days,
        unknown_days=found.counts.unknown_days,
        days_to_first_dose=_spread(found.days_to_first_dose),
        implementation={
            spread.name: _spread(spread) for spread in found.implementation
        },
        curves={curve.name: _curve(curve) for curve in curves},
    )


def _item(item: Item) -> ItemOut:
    return ItemOut(
        number=item.number,
        section=item.section,
        asks=item.asks,
        says=list(item.says),
        author=item.author,
    )


def _spread(spread: Spread) -> SpreadOut:
    interval = spread.interval
    return SpreadOut(
        people=spread.people,
        mean=spread.mean,
        sd=spread.sd,
        lower_quartile=spread.lower_quartile,
        median=spread.median,
        upper_quartile=spread.upper_quartile,
        unit=spread.unit,
        interval=None
        if interval is None
        else {
            "low": interval.low,
            "high": interval.high,
            "method": interval.method,
            "level": interval.level,
        },
        parameters=dict(spread.parameters),
    )


def _curve(curve: Curve) -> CurveOut:
    def known(values: list[float]) -> list[float | None]:
        return [value if isfinite(value) else None for value in values]

    return CurveOut(
        value=known(curve.value.tolist()),
        low=known(curve.low.tolist()),
        high=known(curve.high.tolist()),
        people=curve.people.tolist(),
        method=curve.method,
        level=curve.level,
        parameters=dict(curve.parameters),
    )
