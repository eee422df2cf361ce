"""A long series read some rows at a time: nothing lost, no grain divided."""

from datetime import timedelta

import numpy as np
import pytest
from sqlmodel import Session

from backend.database.partitions import ensure_partitions
from backend.vitals.read import ROWS_AT_ONCE, read, stretches
from backend.vitals.store import store
from tests.backend.vitals.test_store import HEART, ROSA, run
from tests.builders import NOW

GRAIN = timedelta(minutes=5)
WIDTH = 300_000_000
HOUR_MS = 3_600_000
HOURS = 3 * ROWS_AT_ONCE


@pytest.mark.parametrize("hours", [0, 1, 7, ROWS_AT_ONCE, HOURS])
def test_stretches_are_the_series_and_share_no_grain(
    session: Session, hours: int
) -> None:
    """Two watches, one of which writes rows that reach over many of the other's."""
    ensure_partitions(session, NOW, NOW + timedelta(days=30))
    often = [run(n * HOUR_MS, [60 + n] * 60, step=59_000) for n in range(hours)]
    long = [
        run(n * HOUR_MS + 7, [40, 41, 42], step=5 * HOUR_MS, source=2)
        for n in range(0, hours, 20)
    ]
    store(session, [*often, *long], recorded_at=NOW)
    first, until = NOW + timedelta(minutes=7), NOW + timedelta(hours=HOURS - 1)

    got = list(stretches(session, ROSA, HEART, first=first, until=until, grain=GRAIN))

    whole = read(
        session, [ROSA], HEART, first=first, until=until, reader=None, now=NOW
    )[ROSA]
    times = np.concatenate([one.times for one in got])
    values = np.concatenate([one.values for one in got])
    assert times.tolist() == whole.times.tolist()
    assert sorted(values.tolist()) == sorted(whole.values.tolist())
    grains = [grain for one in got for grain in np.unique(one.times // WIDTH).tolist()]
    assert len(grains) == len(set(grains))
    assert len(got) == -(-len([*often, *long]) // ROWS_AT_ONCE) + 1
