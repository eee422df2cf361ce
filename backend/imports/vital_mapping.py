"""Which column of a wearable file means what: read from TOML, checked before use."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import Unprocessable
from backend.people.zones import checked
from backend.vitals.codes import VITALS, Vital, same_unit

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})


class UnusableMapping(Unprocessable):
    """A mapping that is not there, is no TOML, or names what there is not."""


class Column(BaseModel):
    """A column of numbers: which vital, and how to get from the file to its unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: Annotated[str, Field(min_length=1)]
    code: str
    unit: str
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    missing: tuple[float, ...] = ()  # numbers by which the vendor means "not measured"

    @property
    def vital(self) -> Vital:
        return VITALS[self.code]


class Layout(BaseModel):
    """A file with a row a person and instant, and a column a vital.

    `time` is `iso` (a date is its midnight), `unix` or `unix_ms`, or a pattern of
    strptime. `zone` is where dates and times without an offset are meant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    person: Annotated[str, Field(min_length=1)]
    at: Annotated[str, Field(min_length=1)]
    time: Literal["iso", "unix", "unix_ms"] | Annotated[str, Field(pattern="%")] = "iso"
    zone: str = "UTC"
    vital: Annotated[tuple[Column, ...], Field(min_length=1)]

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


# LifeSnaps (doi:10.1038/s41597-022-01764-x), the daily file. Its zeros of breathing
# rate and RMSSD stand for nights in which nothing was measured.
LIFESNAPS = """
person = "id"
at = "date"

[[vital]]
column = "resting_hr"
code = "40443-4"
unit = "/min"
missing = [0]

[[vital]]
column = "bpm"
code = "41924-2"
unit = "/min"
missing = [0]

[[vital]]
column = "spo2"
code = "59408-5"
unit = "%"
missing = [0]

[[vital]]
column = "rmssd"
code = "x-rmssd"
unit = "ms"
missing = [0]

[[vital]]
column = "nightly_temperature"
code = "61008-9"
unit = "Cel"
missing = [0]

[[vital]]
column = "full_sleep_breathing_rate"
code = "9279-1"
unit = "/min"
missing = [0]

[[vital]]
column = "minutesAsleep"
code = "93832-4"
unit = "h"
scale = 0.016666666666666666

[[vital]]
column = "steps"
code = "41950-7"
unit = "/(24.h)"

[[vital]]
column = "calories"
code = "41979-6"
unit = "kcal/(24.h)"
"""
BUILT_IN: Mapping[str, str] = {"lifesnaps": LIFESNAPS}


def load(named: str, *, zone: str | None = None) -> Layout:
    """Return a built-in mapping by name, or the one in a TOML file.

    `zone` replaces the mapping's own. Raises UnusableMapping.
    """
    try:
        text = BUILT_IN.get(named) or Path(named).read_text("utf-8-sig")
        layout = Layout.model_validate(tomllib.loads(text) | _set(zone))
    except OSError:
        known = ", ".join(sorted(BUILT_IN))
        raise UnusableMapping(
            f"There is no file {named}, and no mapping of that name; built in: {known}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnusableMapping(f"{named} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UnusableMapping(f"{named}: {place}: {first['msg']}") from error
    return _checked(layout, named)


def _set(zone: str | None) -> dict[str, str]:
    return {} if zone is None else {"zone": zone}


def _checked(layout: Layout, named: str) -> Layout:
    checked(layout.zone)
    for column in layout.vital:
        vital = VITALS.get(column.code)
        if vital is None:
            raise UnusableMapping(f"{named}: {column.code} is no vital that is stored.")
        if not same_unit(column.unit, vital.unit):
            raise UnusableMapping(
                f"{named}: {vital.name} is stored in {vital.unit}, not {column.unit}: "
                "scale the column."
            )
    names = [layout.person, layout.at, *(column.column for column in layout.vital)]
    if len(set(names)) < len(names):
        raise UnusableMapping(f"{named}: a column is named twice.")
    return layout
