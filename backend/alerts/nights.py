"""A month of heart rate: much to read, so only when a new night makes it worth it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from sqlmodel import Session

from analytics.detectors.resting_heart_rate import LOOK_BACK, five_minutes
from analytics.findings import HEART_RATE
from analytics.records import Series
from backend.database.sets import fetch
from backend.vitals.read import stretches

FIVE_MINUTES = timedelta(minutes=5)
NOON = timedelta(hours=12)
A_DAY_OF_MINUTES = 1440


def medians(session: Session, patient_id: UUID, *, now: datetime) -> Series:
    """Return a patient's heart rate of the look-back, one value for five minutes.

    The samples, 2.9 million of them where each second has one, are in memory for some
    days at a time.
    """
    parts = [
        five_minutes(stretch)
        for stretch in stretches(
            session,
            patient_id,
            HEART_RATE,
            first=now - LOOK_BACK,
            until=now,
            grain=FIVE_MINUTES,
        )
    ]
    return Series(
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def worth_reading(
    session: Session, zones: Mapping[UUID, ZoneInfo], *, now: datetime
) -> set[UUID]:
    """Return the patients, by their zones, whose heart rate says something new.

    A night has ended since the last look, or a day's worth of samples came in.
    """
    rows = fetch(session, WORTH, _nights(zones, now), **_given(zones))
    return {row["patient_id"] for row in rows}


def mark_read(
    session: Session, zones: Mapping[UUID, ZoneInfo], *, now: datetime
) -> set[UUID]:
    """Return whom `worth_reading` would, and mark them as read; they must be held."""
    rows = fetch(session, MARK, _nights(zones, now), **_given(zones))
    return {row["patient_id"] for row in rows}


def _nights(
    zones: Mapping[UUID, ZoneInfo], now: datetime
) -> list[Mapping[str, object]]:
    return [
        {"patient_id": patient_id, "night": (now.astimezone(zone) - NOON).date()}
        for patient_id, zone in zones.items()
    ]


def _given(zones: Mapping[UUID, ZoneInfo]) -> dict[str, object]:
    return {"code": HEART_RATE, "ids": list(zones), "day": A_DAY_OF_MINUTES}


WORTH = """
SELECT r.patient_id, r.night, v.samples FROM rows(patient_id uuid, night date)
JOIN (SELECT patient_id, CAST(sum(samples) AS bigint) AS samples
    FROM vital_series WHERE code = :code AND patient_id = ANY(:ids)
    GROUP BY patient_id) v USING (patient_id)
LEFT JOIN screen_mark k USING (patient_id)
WHERE k.patient_id IS NULL OR k.night < r.night OR k.samples + :day <= v.samples
ORDER BY r.patient_id
"""

MARK = f"""
INSERT INTO screen_mark (patient_id, night, samples)
{WORTH}
ON CONFLICT (patient_id) DO UPDATE
SET night = excluded.night, samples = excluded.samples
RETURNING patient_id
"""
