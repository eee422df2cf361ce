"""Monthly partitions of the vitals, made before they are written to."""

from datetime import date, datetime

from sqlalchemy import text
from sqlmodel import Session

# The function belongs to the owner of the tables and runs with his rights, because the
# application's role may not make tables. It returns how many months it added.
ENSURE = "SELECT ensure_vital_partitions(:first, :last)"

_known: set[date] = set()


def ensure_partitions(session: Session, first: datetime, last: datetime) -> None:
    """Make the partitions for all months from `first` to `last`, both UTC.

    Call it before the first statement on vitals in the transaction: attaching needs
    a lock that readers of the same transaction would stand in the way of. Months seen
    before by this process cost nothing.
    """
    months = _months(first.date(), last.date())
    if _known.issuperset(months):
        return
    span = {"first": months[0], "last": months[-1]}
    added = session.connection().execute(text(ENSURE), span).scalar_one()
    if added == 0:  # a month added here is forgotten again if we roll back
        _known.update(months)


def forget_partitions() -> None:
    """Look again: this process has turned to another database."""
    _known.clear()


def _months(first: date, last: date) -> list[date]:
    """Return the first day of every month from `first` to `last`, at least one."""
    start = first.year * 12 + first.month - 1
    end = max(start, last.year * 12 + last.month - 1)
    return [date(n // 12, n % 12 + 1, 1) for n in range(start, end + 1)]
