"""View models to HTML."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from backend.dashboards import assets
from backend.dashboards.charts.chart import inline_svg
from backend.dashboards.charts.palette import WORDS, DoseState
from backend.dashboards.charts.strip import dose_strip, mark, symbols
from backend.dashboards.frame import Frame, navigation
from backend.dashboards.views import Page

TEMPLATES = Path(__file__).parent / "templates"


def render(page: Page, frame: Frame) -> str:
    """Return the page as HTML; raises `UndefinedError` where a value is missing."""
    template = environment().get_template(page.template)
    return template.render(page=page, frame=frame)


@cache
def environment() -> Environment:
    """Return the template engine: values are escaped, missing ones are errors."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Jinja types this mapping by its own few defaults.
    tools = cast("dict[str, object]", made.globals)
    tools.update(
        asset=assets.address,
        navigation=navigation,
        symbols=symbols,
        dose_strip=dose_strip,
        dose_mark=mark,
        drawing=inline_svg,
        # Taken and on time look alike: a dose without a time of day is just taken.
        legend=tuple(state for state in DoseState if state is not DoseState.TAKEN),
        words=WORDS,
        clock=clock,
        moment=moment,
        day=day,
        short_day=short_day,
        instant=instant,
        ago=ago,
        coming=coming,
        number=number,
    )
    return made


def instant(at: datetime) -> str:
    """Return the instant for a `datetime` attribute."""
    return at.isoformat(timespec="seconds")


def clock(at: datetime, zone: str) -> str:
    """Return the local time of day, 08:05."""
    return f"{at.astimezone(ZoneInfo(zone)):%H:%M}"


def moment(at: datetime, zone: str) -> str:
    """Return day and time, Mon 2 Mar 08:05."""
    return f"{at.astimezone(ZoneInfo(zone)):%a %-d %b %H:%M}"


def day(on: date) -> str:
    """Return the day with its weekday, Mon 2 Mar 2026."""
    return f"{on:%a %-d %b %Y}"


def short_day(on: date) -> str:
    """Return the day where its year is plain, Mon 2 Mar."""
    return f"{on:%a %-d %b}"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago in one unit; what lies ahead by a clock's error is now."""
    passed = now - at
    if passed < timedelta(minutes=1):
        return "just now"
    if passed < timedelta(hours=1):
        return f"{passed // timedelta(minutes=1)} min ago"
    if passed < timedelta(days=1):
        return f"{passed // timedelta(hours=1)} h ago"
    days = passed // timedelta(days=1)
    return "yesterday" if days == 1 else f"{days} days ago"


def coming(at: datetime, now: datetime, zone: str) -> str:
    """Return when something comes: 20:00 today, tomorrow 08:00, Wed 08:00."""
    local, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    days = (local.date() - today).days
    if days == 0:
        return f"{local:%H:%M}"
    return f"{'tomorrow' if days == 1 else f'{local:%a}'} {local:%H:%M}"


def number(value: Decimal | float) -> str:
    """Return a number without needless zeros: 12, 0.5."""
    return f"{Decimal(str(value)).normalize():f}"
