"""How much of a product a prescription asks for a day, on average."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.database.sets import fetch
from backend.regimens.timing import (
    AfterTaken,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Monthly,
    Timing,
    Weekdays,
)
from backend.regimens.timing_json import from_json
from backend.supply.units import convert

DAYS_A_MONTH = Fraction(36525, 1200)
SECONDS_A_DAY = 86_400


def prescribed(
    session: Session, holdings: Collection[tuple[UUID, str]], *, now: datetime
) -> Mapping[tuple[UUID, str], Decimal]:
    """Return what is prescribed a day now, in the product's unit.

    A holding that no running prescription asks for is missing. A timing whose average
    cannot be told is taken from the doses written around now.
    """
    rows = fetch(
        session,
        """SELECT r.patient_id, r.gtin, v.timing, v.amount, v.unit, p.unit AS of,
            d.doses_a_day, d.amount_a_day, d.unit AS doses_in
        FROM rows(patient_id uuid, gtin text)
        JOIN product p USING (gtin)
        JOIN regimen g USING (patient_id, gtin)
        JOIN LATERAL (SELECT timing, amount, unit, until FROM regimen_version v
            WHERE v.patient_id = g.patient_id AND v.regimen_id = g.regimen_id
              AND v.effective_from <= :now
            ORDER BY v.effective_from DESC, v.version DESC LIMIT 1) v
            ON v.until IS NULL OR v.until > :now
        LEFT JOIN LATERAL (SELECT CAST(count(*) AS numeric)
                / NULLIF(max(dose_day) - min(dose_day) + 1, 0) AS doses_a_day,
                sum(amount) / NULLIF(max(dose_day) - min(dose_day) + 1, 0)
                    AS amount_a_day,
                CASE WHEN count(DISTINCT unit) = 1 THEN max(unit) END AS unit
            FROM scheduled_dose d
            WHERE d.patient_id = g.patient_id AND d.regimen_id = g.regimen_id
              AND d.dose_day BETWEEN CAST(:now AS date) - 28 AND CAST(:now AS date) + 2
            ) d ON v.timing ->> 'kind' NOT IN ('clock_times', 'daily_count')""",
        [{"patient_id": patient_id, "gtin": gtin} for patient_id, gtin in holdings],
        now=now,
    )
    asked: defaultdict[tuple[UUID, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        asked[row["patient_id"], row["gtin"]] += _amount_a_day(row)
    return asked


def doses_a_day(timing: Timing) -> Fraction | None:
    """Return the long-run average, None where a timing has none of its own."""
    match timing:
        case ClockTimes(times):
            return Fraction(len(times))
        case DailyCount(n):
            return Fraction(n)
        case Weekdays(times, days, every):
            return Fraction(len(times) * len(days), 7 * every)
        case Monthly(times, _, every):
            return len(times) / (DAYS_A_MONTH * every)
        case Cycle(on, off, _, inner):
            of_inner = doses_a_day(inner)
            return None if of_inner is None else of_inner * on / (on + off)
        case EveryHours(every, _, doses):
            return doses * SECONDS_A_DAY / Fraction(every.total_seconds())
        case AfterTaken(every):
            return SECONDS_A_DAY / Fraction(every.total_seconds())
        case _:
            return None


def _amount_a_day(row: RowMapping) -> Decimal:
    if row["amount"] is None and row["amount_a_day"] is not None:
        # Phases with amounts of their own: what was asked for around now.
        return convert(row["amount_a_day"], row["doses_in"], row["of"]) or Decimal(0)
    amount = row["amount"] and convert(row["amount"], row["unit"], row["of"])
    doses = doses_a_day(from_json(row["timing"]))
    a_day = row["doses_a_day"] if doses is None else _decimal(doses)
    return (amount or Decimal(0)) * (a_day or Decimal(0))


def _decimal(share: Fraction) -> Decimal:
    return Decimal(share.numerator) / Decimal(share.denominator)
