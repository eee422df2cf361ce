"""Tell open pages that something changed: which clinics, and which of their patients.

Never inside the transaction that changed it: NOTIFY takes a lock that all commits of
the database wait for. What changed is marked in this process after the commit, and one
thread tells it once every 300 ms in a transaction of its own. A hint that is lost
harms nobody: an open page looks again every minute.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Condition, Thread
from uuid import UUID

from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from backend.database import transaction

log = logging.getLogger(__name__)

CHANNEL = "doseloop_live"
EVERY = 0.3  # seconds between two notifications of one process
MOST_NAMED = 200  # patients; a notification holds less than 8,000 octets
_KEY = "backend.live"

Marks = dict[UUID, set[UUID]]


def touched(clinic_ids: Iterable[UUID], patients: Iterable[UUID] = ()) -> None:
    """Have these clinics' open pages look again; call it after the commit.

    Without `patients` anybody of the clinic may have changed. A manufacturer stands
    in the place of a clinic.
    """
    mark({clinic_id: set(patients) for clinic_id in clinic_ids})


def mark(marks: Marks) -> None:
    """Have the open pages of these clinics and patients look again, after a commit."""
    if marks:
        _announcer.mark(marks)


def touch(session: Session, marks: Mapping[UUID, Iterable[UUID]]) -> None:
    """Mark clinics and their patients as soon as this transaction has committed."""
    known: Marks | None = session.info.get(_KEY)
    if known is None:
        known = session.info[_KEY] = {}
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_soft_rollback", _rolled_back)
    _merge(known, {clinic_id: set(patients) for clinic_id, patients in marks.items()})


def stop(timeout: float = 2.0) -> None:
    """Tell what is marked and end the thread; a later mark starts another."""
    _announcer.stop(timeout)


def _committed(session: Session) -> None:
    if session.in_nested_transaction():
        return
    marks: Marks = session.info[_KEY]
    if marks:
        _announcer.mark(marks)
        session.info[_KEY] = {}


def _rolled_back(session: Session, _previous: object) -> None:
    if not session.in_nested_transaction():
        session.info[_KEY] = {}


def _merge(marks: Marks, more: Mapping[UUID, set[UUID]]) -> None:
    """Add marks; an empty set stands for everybody and stays so."""
    for clinic_id, patients in more.items():
        known = marks.get(clinic_id)
        if known is None:
            marks[clinic_id] = set(patients)
        elif known and patients:
            known |= patients
        else:
            known.clear()


@dataclass
class _Announcer:
    """The marks of this process, and the thread that tells them."""

    _marks: Marks = field(default_factory=dict[UUID, set[UUID]])
    _changed: Condition = field(default_factory=Condition)
    _thread: Thread | None = None
    _stopping: bool = False

    def mark(self, marks: Marks) -> None:
        with self._changed:
            _merge(self._marks, marks)
            if self._thread is None or not self._thread.is_alive():
                self._stopping = False
                self._thread = Thread(target=self._run, name="live", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self, timeout: float) -> None:
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopping = True
            self._changed.notify()
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        while marks := self._next():
            _tell(marks)
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, EVERY)

    def _next(self) -> Marks:
        """Wait for marks and take them; none when the thread is to end."""
        with self._changed:
            while not self._marks and not self._stopping:
                self._changed.wait()
            marks, self._marks = self._marks, {}
        return marks


def _tell(marks: Marks) -> None:
    try:
        with transaction() as session:
            for clinic_id, patients in marks.items():
                session.connection().execute(
                    text("SELECT pg_notify(:channel, :payload)"),
                    {"channel": CHANNEL, "payload": payload(clinic_id, patients)},
                )
    except SQLAlchemyError as error:
        log.warning("live hint lost", extra={"kind": type(error).__name__})


def payload(clinic_id: UUID, patients: Iterable[UUID]) -> str:
    """Return `clinic patient patient …`, the clinic alone when that is too many."""
    given = list(patients)
    named = sorted(given) if len(given) <= MOST_NAMED else []
    return " ".join(str(one) for one in (clinic_id, *named))


_announcer = _Announcer()
