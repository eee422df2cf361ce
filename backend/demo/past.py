"""The wearables' past, as a vendor's cloud would deliver it: by the vitals API."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import orjson

from analytics.findings import HEART_RATE
from analytics.records import Series, instant
from analytics.simulated_heart_rate import heart_rate_minutes
from backend.demo.cast import Character
from backend.demo.patience import PAUSE, until_it_works

SOURCE = "demo-watch-cloud"
SEGMENTS_A_REQUEST = 100
SAMPLES_A_SEGMENT = 60
MINUTE = 60_000_000  # microseconds
JSON = {"Content-Type": "application/json"}


def deliver_past(
    http: httpx.Client,
    people: Sequence[tuple[Character, UUID]],
    *,
    first: datetime,
    last: datetime,
    stopping: Event,
    pause: float = PAUSE,
) -> Iterator[int]:
    """Post everybody's minutes of first <= t < last; yield the samples per person.

    Repeating it is harmless: segments are known by their ids. A backend that is away
    is waited for. Raises HTTPStatusError when it refuses, ToldToEnd when the demo ends.
    """

    def post(body: bytes) -> None:
        http.post("/v1/vitals", content=body, headers=JSON).raise_for_status()

    for one, patient_id in people:
        series = heart_rate_minutes(
            first, last, heart=one.heart, seed=one.seed, zone=ZoneInfo(one.zone)
        )
        segments = _segments(series, patient_id)
        for at in range(0, len(segments), SEGMENTS_A_REQUEST):
            body = orjson.dumps({"segments": segments[at : at + SEGMENTS_A_REQUEST]})
            until_it_works(partial(post, body), stopping, pause=pause)
        yield len(series.times)


def _segments(series: Series, patient_id: UUID) -> list[dict[str, Any]]:
    """Runs of minutes without a gap, an hour at most, in the shape of the API."""
    gaps = np.flatnonzero(np.diff(series.times) != MINUTE) + 1
    runs = np.split(np.arange(len(series.times)), gaps)
    pieces = [
        run[at : at + SAMPLES_A_SEGMENT]
        for run in runs
        for at in range(0, len(run), SAMPLES_A_SEGMENT)
    ]
    return [
        {
            "id": f"{patient_id}:{int(series.times[piece[0]]) // MINUTE}",
            "patient_id": str(patient_id),
            "source": SOURCE,
            "code": HEART_RATE,
            "unit": "/min",
            "start": instant(int(series.times[piece[0]])).isoformat(),
            "step": 60,
            "values": series.values[piece].tolist(),
            "claimed_live": False,
        }
        for piece in pieces
        if len(piece)
    ]
