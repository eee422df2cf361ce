"""Measure adherence from the openings of an electronic monitor.

Reads a CSV of times (columns date, and id where it holds several patients) and prints
every measure with its interval, counts and parameters. `--table` asks for other tables:
`periods`, `openings` and `summary` as OncMAP has them. Of a study's folder it prints
implementation a monitor-day, or as `--table` says: patients, monitor-means,
patient-means.
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from analytics.adherence.dose_days import DAY, DayPeriod, Rule, dose_day
from analytics.adherence.measure import Measure
from analytics.adherence.monitoring import (
    EVERY_DAY,
    Parameters,
    Record,
    Regimen,
    measures,
    oncmap_shares,
)
from analytics.commands import monitored_study
from analytics.commands.output import Table, save
from analytics.commands.tables import Cell, Refused
from analytics.commands.timestamps import Columns, read_openings, read_spans

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Records = Mapping[str | None, Record]


def arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("path", type=Path, metavar="TIMESTAMPS.csv|FOLDER")
    doses = parser.add_mutually_exclusive_group()
    doses.add_argument("--doses-per-day", type=_number, metavar="N", default=1)
    doses.add_argument("--every", type=_length, metavar="12h")
    doses.add_argument("--times", type=_times, metavar="08:00,20:00")
    add("--weekdays", type=_weekdays, default=EVERY_DAY, metavar="mon,wed,fri")
    add("--day-start", type=time.fromisoformat, default=time(3), metavar="HH:MM")
    add("--debounce", type=float, default=600, metavar="SECONDS")
    add(
        "--non-monitored", type=Path, metavar="FILE", help="CSV: start, end, perhaps id"
    )
    add("--from", dest="first", type=date.fromisoformat, metavar="DAY")
    add("--to", dest="last", type=date.fromisoformat, metavar="DAY")
    add("--zone", type=_zone, default=UTC, help="of the patient; UTC if left out")
    add("--on-time", type=_length, default=timedelta(hours=1), metavar="1h")
    add("--within", type=float, default=0.25, help="share of the interval, 0.25")
    add("--acts-for", type=_length, metavar="36h", help="one interval if left out")
    add("--tolerated", type=int, default=1, help="misses in a row that are forgiven")
    add("--holiday", type=_number, default=3, metavar="DAYS")
    add("--rule", type=Rule, choices=list(Rule), default=Rule.DOSELOOP)
    add("--columns", type=Columns.of, default=Columns(), metavar="id=…,date=…")
    add("--date-format", metavar="%d.%m.%Y %H:%M")
    add("--table", choices=[*TABLES, *STUDY_TABLES])
    add("-o", dest="out", type=Path, metavar="OUT.csv")


def run(arguments: Namespace) -> int:
    path: Path = arguments.path
    if path.is_dir():
        name = _of(arguments.table or "monitors", STUDY_TABLES, "a folder")
        found = monitored_study.tables(
            path, rule=arguments.rule, day_start=arguments.day_start
        )
        save(found[name], arguments.out)
        return 0
    name = _of(arguments.table or "measures", TABLES, "a file of times")
    save(TABLES[name](_records(arguments)), arguments.out)
    return 0


def _of(name: str, names: Sequence[str] | Mapping[str, object], what: str) -> str:
    if name not in names:
        raise Refused(f"{what} has no table {name}, only {', '.join(names)}")
    return name


def _records(arguments: Namespace) -> Records:
    openings = read_openings(
        arguments.path,
        zone=arguments.zone,
        columns=arguments.columns,
        date_format=arguments.date_format,
    )
    if not openings:
        raise Refused(f"{arguments.path} holds no opening")
    spans: Mapping[str | None, list[DayPeriod]] = {}
    if arguments.non_monitored is not None:
        spans = read_spans(arguments.non_monitored, columns=arguments.columns)
    regimen, how = _regimen(arguments), _parameters(arguments)
    return {
        whose: _record(
            arguments,
            raw,
            regimen,
            _away(spans, whose),
            how,
        )
        for whose, raw in sorted(openings.items(), key=lambda item: item[0] or "")
    }


def _away(
    spans: Mapping[str | None, Sequence[DayPeriod]], whose: str | None
) -> list[DayPeriod]:
    """Return the spans of a monitor: its own, those of its patient, and everybody's."""
    patient = None if whose is None else whose.partition("/")[0]
    owners = dict.fromkeys((whose, patient, None))
    return [span for owner in owners for span in spans.get(owner, ())]


def _record(
    arguments: Namespace,
    raw: Sequence[datetime],
    regimen: Regimen,
    spans: Sequence[DayPeriod],
    how: Parameters,
) -> Record:
    days = [dose_day(at, arguments.zone, day_start=how.day_start) for at in raw]
    first, last = arguments.first or min(days), arguments.last or max(days)
    if first > last:
        raise Refused(f"the first day {first} lies after the last {last}")
    return Record(raw, first, last, regimen, spans, arguments.zone, how)


def _regimen(arguments: Namespace) -> Regimen:
    if arguments.times:
        return Regimen(1, len(arguments.times), arguments.weekdays, arguments.times)
    if arguments.every:
        if DAY % arguments.every:
            raise Refused("--every wants a length that divides a day, as 12h")
        return Regimen(DAY // arguments.every, 1, arguments.weekdays)
    return Regimen(1, arguments.doses_per_day, arguments.weekdays)


def _parameters(arguments: Namespace) -> Parameters:
    return Parameters(
        day_start=arguments.day_start,
        debounce=timedelta(seconds=arguments.debounce),
        on_time=arguments.on_time,
        within=arguments.within,
        holiday=arguments.holiday,
        acts_for=arguments.acts_for,
        tolerated=arguments.tolerated,
        rule=arguments.rule,
    )


def _measures(records: Records) -> Table:
    columns = ("measure", "value", "unit", "low", "high", "level", "interval")
    counted = ("numerator", "denominator", "doses", "monitored_days", "unknown_days")
    return _by_patient(
        records,
        (*columns, *counted, "parameters"),
        lambda record: [_measured(measure) for measure in measures(record)],
    )


def _measured(measure: Measure) -> list[Cell]:
    over, counts = measure.interval, measure.counts
    told = ";".join(f"{name}={value}" for name, value in measure.parameters.items())
    ends: list[Cell] = [None, None, None, "none"]
    if over is not None:
        ends = [over.low, over.high, over.level, over.method]
    return [
        *(measure.name, measure.value, measure.unit, *ends),
        *(float(measure.numerator), float(measure.denominator)),
        *(counts.doses, counts.monitored_days, counts.unknown_days, told),
    ]


def _periods(records: Records) -> Table:
    """Return OncMAP's `all_periods`; day_dow counts from Sunday."""
    columns = ("period", "day", "start", "end", "day_dow", "nonmon", "active_day")

    def rows(record: Record) -> list[list[Cell]]:
        starts = [period.start for period in record.periods]
        midnight = all(start.time() == time() for start in starts)  # as R prints it
        return [
            [
                *(part.number, part.day.isoformat()),
                part.day.isoformat() if midnight else str(part.start),
                *(str(part.end), part.day.isoweekday() % 7, int(part.non_monitored)),
                *(str(part.active).upper(), part.expected, part.opened),
            ]
            for part in record.periods
        ]

    return _by_patient(records, (*columns, "doserx", "opens"), rows)


def _openings(records: Records) -> Table:
    return _by_patient(
        records,
        ("timestamps", "excluded"),
        lambda record: [[str(o.local), int(o.excluded)] for o in record.openings],
    )


def _summary(records: Records) -> Table:
    names = ("n_ts", "excluded", "daysadh", "daysdose", "perdoses", "n")

    def row(record: Record) -> list[list[Cell]]:
        left_out = sum(not opening.kept for opening in record.openings)
        shares = oncmap_shares(record.periods)
        return [[len(record.openings), left_out, *shares]]

    return _by_patient(records, names, row)


def _by_patient(
    records: Records,
    columns: Sequence[str],
    rows: Callable[[Record], list[list[Cell]]],
) -> Table:
    """Return the rows of all, with a column of ids where there are any."""
    if None in records:
        return Table(columns, rows(records[None]))
    whole = [[who, *row] for who, record in records.items() for row in rows(record)]
    return Table(("id", *columns), whole)


TABLES: dict[str, Callable[[Records], Table]] = {
    "measures": _measures,
    "periods": _periods,
    "openings": _openings,
    "summary": _summary,
}
STUDY_TABLES = ("monitors", "patients", "monitor-means", "patient-means")


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"wants 1 or more, not {text}")
    return number


def _length(text: str) -> timedelta:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if text[-1:] not in units:
        raise ArgumentTypeError(f"wants a length as 90m, 12h or 2d, not {text!r}")
    length = timedelta(seconds=float(text[:-1]) * units[text[-1]])
    if length <= timedelta(0):
        raise ArgumentTypeError(f"wants a length above zero, not {text!r}")
    return length


def _times(text: str) -> tuple[time, ...]:
    return tuple(sorted({time.fromisoformat(part) for part in text.split(",")}))


def _weekdays(text: str) -> frozenset[int]:
    days = text.lower().split(",")
    if not set(days) <= set(WEEK):
        raise ArgumentTypeError(f"wants days as mon,wed,fri, not {text!r}")
    return frozenset(WEEK.index(day) for day in days)


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError) as error:
        raise ArgumentTypeError(f"knows no zone {text!r}; as Europe/Zurich") from error
