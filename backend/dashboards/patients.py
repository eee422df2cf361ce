"""The clinician's list: patients by need, one row of state each."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import RowMapping

from backend.dashboards.frame import Link
from backend.dashboards.keyset import (
    USUAL,
    address,
    identity,
    page_of,
    understood,
    written,
)
from backend.dashboards.views import PatientListPage, PatientRow
from backend.dashboards.visible import Sight
from backend.dashboards.words import needs, strip_days, taken_share

PATH = "/patients"
MOST_WORDS = 5
TABLES = "patient_state s JOIN patient p USING (patient_id)"
COLUMNS = """s.patient_id, s.need, s.needs, s.strip, s.adherence, s.heard_until,
    s.last_dose_at, s.run_out_on, s.open_alerts, p.given_name, p.family_name,
    (SELECT i.value FROM patient_identifier i WHERE i.patient_id = s.patient_id
        AND (i.until IS NULL OR i.until > :now) ORDER BY i.since, i.value LIMIT 1)
        AS identifier,
    (SELECT a.title FROM alert a WHERE a.patient_id = s.patient_id
        AND a.state <> 'closed' AND a.severity = s.worst_alert
        ORDER BY a.triggered_at DESC LIMIT 1) AS alert"""
FILTERS = {
    "": ("All", "true"),
    "alerts": ("With alerts", "s.open_alerts > 0"),
    "silent": ("Silent device", """s.needs @> '[{"code": "device_silent"}]'"""),
    "stock": ("Low stock", """s.needs @> '[{"code": "runs_out"}]'"""),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which patients a clinician asked for."""

    search: str = ""
    show: str = ""
    after: str | None = None
    limit: int = USUAL


def patient_list(sight: Sight, wanted: Wanted) -> PatientListPage:
    """Return the patients the reader may see, most in need first.

    Costs one index range of the state table for the page, and a count.
    """
    where, given = _which(wanted, sight.reader.clinic_id)
    total = sight.rows("count(*) AS n", TABLES, where, of="s.patient_id", given=given)
    key = understood(wanted.after, int, identity)
    if key is not None:
        where.append("(s.need, s.patient_id) < (:need, :after)")
        given |= {"need": key[0], "after": key[1]}
    found = sight.rows(
        COLUMNS,
        TABLES,
        where,
        of="s.patient_id",
        order="s.need DESC, s.patient_id DESC",
        most=wanted.limit + 1,
        given=given,
    )
    rows, last = page_of(found, wanted.limit)
    onward = last and written(last["need"], last["patient_id"])
    return PatientListPage(
        rows=tuple(_row(row) for row in rows),
        filters=tuple(
            Link(label, _at(wanted, show=show), show == wanted.show)
            for show, (label, _) in FILTERS.items()
        ),
        search=wanted.search,
        shown=_shown(len(rows), total[0]["n"]),
        first_href=_at(wanted) if wanted.after else None,
        next_href=_at(wanted, after=onward) if onward else None,
    )


def _at(wanted: Wanted, **changed: object) -> str:
    limit = None if wanted.limit == USUAL else wanted.limit
    asked = {"search": wanted.search, "show": wanted.show, "limit": limit}
    return address(PATH, **(asked | changed))


def _which(
    wanted: Wanted, clinic_id: UUID | None
) -> tuple[list[str], dict[str, object]]:
    """The conditions: every word must be part of the name or of an identifier."""
    where = ["s.clinic_id = :clinic", FILTERS.get(wanted.show, FILTERS[""])[1]]
    given: dict[str, object] = {"clinic": clinic_id}
    for index, word in enumerate(wanted.search.split()[:MOST_WORDS]):
        given[f"word{index}"] = f"%{_literal(word)}%"
        where.append(
            f"""(p.given_name || ' ' || p.family_name ILIKE :word{index}
            OR EXISTS (SELECT FROM patient_identifier i
                WHERE i.patient_id = s.patient_id AND i.value ILIKE :word{index}
                  AND (i.until IS NULL OR i.until > :now)))"""
        )
    return where, given


def _literal(word: str) -> str:
    for sign in "\\%_":
        word = word.replace(sign, "\\" + sign)
    return word


def _shown(rows: int, total: int) -> str:
    if rows == total:
        return "1 patient" if total == 1 else f"{total} patients"
    return f"{rows} of {total} patients"


def _row(row: RowMapping) -> PatientRow:
    return PatientRow(
        patient_id=row["patient_id"],
        name=f"{row['given_name']} {row['family_name']}",
        identifier=row["identifier"] or "",
        needs=needs(row["needs"], row["alert"]),
        strip=strip_days(row["strip"]),
        heard_until=row["heard_until"],
        last_dose_at=row["last_dose_at"],
        run_out_on=row["run_out_on"],
        taken=taken_share(row["adherence"]),
        open_alerts=row["open_alerts"],
    )
