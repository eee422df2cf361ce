"""The jobs of alerts: detectors look at new facts, what rests or waits comes back."""

from datetime import datetime

from backend.alerts.history import together
from backend.alerts.screen import due_again, screen
from backend.alerts.wake import wake, waking
from backend.database import transaction
from backend.database.sets import fetch
from backend.people.hold import hold
from backend.state.refresh import refresh

AT_ONCE = 20  # patients a transaction


def screen_due(now: datetime) -> int:
    """Screen a batch of the patients that are due and return how many that were.

    Also those that another worker screened meanwhile: there may be more behind them.
    The queue's rows are deleted under the patients' locks, in the order in which
    whoever brings new facts writes them: two workers never block each other.
    """
    with transaction() as session:
        rows = fetch(
            session,
            "SELECT patient_id FROM screen_due ORDER BY since LIMIT :most",
            most=AT_ONCE,
        )
        batch = together(session, [row["patient_id"] for row in rows], now=now)
        held = hold(session, batch)
        taken = fetch(
            session,
            "DELETE FROM screen_due WHERE patient_id = ANY(:ids) RETURNING patient_id",
            ids=sorted(batch),
        )
        mine = held.intersection(row["patient_id"] for row in taken)
        refresh(session, screen(session, mine, now=now), now=now)
    return len(batch)


def wake_alerts(now: datetime) -> int:
    """Bring back alerts whose rest is over, mark those nobody took; how many."""
    with transaction() as session:
        held = hold(session, waking(session, now=now, most=AT_ONCE))
        woken = wake(session, held, now=now)
        refresh(session, held, now=now)
    return woken


def screen_silent(now: datetime) -> int:
    """Queue the patients whose device has gone silent; return how many."""
    with transaction() as session:
        return due_again(session, now=now)
