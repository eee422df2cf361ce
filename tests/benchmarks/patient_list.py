"""What the share of doses taken costs the clinician's list, and a day's end its rows.

The page of 50 of 10,000 patients as it is beside the same one without the figures, in
turn, in one run; then a walk over 10,000 rows that are all of today, and the back-fill
of rows that have no figures. CPU of this process and of PostgreSQL.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from backend.dashboards import patients
from backend.dashboards.frame import Frame
from backend.dashboards.patients import Wanted, patient_list
from backend.dashboards.render import render
from backend.dashboards.views import Share
from backend.dashboards.visible import Sight
from backend.database import transaction
from backend.database.sets import execute
from backend.people.readers import Reader
from backend.state.renew import renew
from tests.backend.ingest.world import World, a_world
from tests.benchmarks.machine import Machine, machine
from tests.builders import LONG_AGO, NOW

PATIENTS, ROUNDS, BACK_FILLED = 10_000, 20, 1_000
MOST = 0.10  # of what the page costs without the figures
MOST_OF_A_WALK = 1.0  # CPU-seconds

Row = tuple[str, str, str, bool]


def run() -> list[Row]:
    """Return rows of (name, figure, bound, whether it was met)."""
    with machine() as at:
        reader = _clinic()
        spent: dict[bool, list[float]] = {True: [], False: []}
        for n in range(2 * ROUNDS):
            shown = n % 2 == 0
            with _as_is() if shown else _without():
                spent[shown].append(_cpu(at, lambda: _page(reader)))
        with_figures, without = median(spent[True]), median(spent[False])
        walk = _cpu(at, lambda: renew(lambda: False, NOW))
        _forget_figures()
        back_fill = _cpu(at, lambda: renew(lambda: False, NOW)) / BACK_FILLED
    more = with_figures / without - 1
    return [
        (
            f"list of 50 of {PATIENTS} patients: more CPU for the share of doses taken",
            f"{more:.1%} ({1e3 * with_figures:.1f} ms over {1e3 * without:.1f})",
            f"<= {MOST:.0%}",
            more <= MOST,
        ),
        (
            f"state rows: a walk over {PATIENTS} that are all of today",
            f"{walk:.2f} CPU-s",
            f"<= {MOST_OF_A_WALK:g} CPU-s",
            walk <= MOST_OF_A_WALK,
        ),
        (
            "state rows: back-fill of one without figures",
            f"{1e3 * back_fill:.2f} CPU-ms",
            "",
            True,
        ),
    ]


def _clinic() -> Reader:
    with transaction() as session:
        world: World = a_world(session)
        given: dict[str, Any] = {
            "clinic": world.clinic.clinic_id,
            "clinician": world.clinician.clinician_id,
            "since": LONG_AGO,
            "now": NOW,
            "days": PATIENTS,
            "last_day": (NOW - timedelta(days=1)).date().isoformat(),
        }
        for statement in PEOPLE:
            execute(session, statement, **given)
    with transaction() as session:
        execute(session, "ANALYZE")
    clinician = world.clinician.clinician_id
    return Reader(uuid4(), "clinician", clinician, world.clinic.clinic_id)


def _page(reader: Reader) -> None:
    with transaction() as session:
        page = patient_list(Sight(session, reader, NOW), Wanted())
    assert len(page.rows) == 50
    render(page, Frame(now=NOW))


def _cpu(at: Machine, work: Callable[[], object]) -> float:
    began = at.cpu_seconds() + time.process_time()
    work()
    return at.cpu_seconds() + time.process_time() - began


def _forget_figures() -> None:
    with transaction() as session:
        execute(
            session,
            "UPDATE patient_state SET adherence = '{}' WHERE patient_id IN "
            "(SELECT patient_id FROM patient_state LIMIT :most)",
            most=BACK_FILLED,
        )


def _unsaid(_: object) -> Share:
    return Share("")


@contextmanager
def _as_is() -> Generator[None]:
    yield


@contextmanager
def _without() -> Generator[None]:
    columns = patients.COLUMNS.replace("s.adherence", "NULL AS adherence")
    with (
        patch.object(patients, "COLUMNS", columns),
        patch.object(patients, "taken_share", _unsaid),
    ):
        yield


PEOPLE = (
    """INSERT INTO patient (patient_id, clinic_id, given_name, family_name, recorded_at)
    SELECT gen_random_uuid(), :clinic, 'Rosa', 'Keller ' || n, :since
    FROM generate_series(1, :days) n""",
    """INSERT INTO patient_zone (patient_id, effective_from, zone, recorded_at)
    SELECT patient_id, :since, 'Europe/Zurich', :since FROM patient
    ON CONFLICT DO NOTHING""",
    """INSERT INTO care_team_member (patient_id, clinician_id, since)
    SELECT patient_id, :clinician, :since FROM patient ON CONFLICT DO NOTHING""",
    """INSERT INTO consent (patient_id, consent_id, purpose, recipient_id, version,
        wording, since, recorded_at)
    SELECT patient_id, gen_random_uuid(), 'care', :clinic, 1, 'Care', :since, :since
    FROM patient WHERE family_name LIKE 'Keller %'""",
    """INSERT INTO patient_state (patient_id, clinic_id, need, needs, strip, counts,
        adherence, open_reorders, open_alerts, vitals, changed_at, version)
    SELECT patient_id, :clinic, (random() * 1000)::int,
        '[{"code": "missed", "count": 3, "points": 30}]',
        (SELECT jsonb_agg(jsonb_build_object('day', '2026-02-' || 10 + d, 'labels',
            jsonb_build_array('on_time', 'missed'))) FROM generate_series(1, 14) d),
        '{}', jsonb_build_object('days', 30, 'last_day', CAST(:last_day AS text),
            'expected', 60, 'taken', 52, 'known_days', 30, 'unknown_days', 0,
            'longest_gap_d', 1, 'phase', 'taking'), 0, 0, '{}', :now, 1
    FROM patient ON CONFLICT DO NOTHING""",
)
