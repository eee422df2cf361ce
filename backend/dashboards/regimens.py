"""What somebody takes, as a sentence, and what they may take now as needed."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping

from backend.dashboards.regimen_views import AsNeededRow, Prescribed
from backend.dashboards.visible import Sight
from backend.ingest.guard import NO_DOSE, doses_in
from backend.regimens.guard import Taken, free_at, in_24_hours
from backend.regimens.timing import AsNeeded, Timing
from backend.regimens.timing_json import from_json
from backend.regimens.wording import LANGUAGES, sentence

ENGLISH = "en"
LONGEST_BACK = "30 days"  # no interval between doses as needed is longer


def regimens_of(
    sight: Sight, patient_id: UUID, zone: ZoneInfo
) -> dict[UUID, Prescribed]:
    """Return what is prescribed now, by regimen; to patients in their own language."""
    today = sight.now.astimezone(zone).date()
    own = sight.reader.role == "patient"
    return {
        row["regimen_id"]: _told(row, from_json(row["timing"]), zone, today, own=own)
        for row in _running(sight, patient_id)
    }


def as_needed_of(
    sight: Sight, patient_id: UUID, zone: ZoneInfo
) -> tuple[AsNeededRow, ...]:
    """Return what may be taken as needed, and from when on: read it before you do."""
    today = sight.now.astimezone(zone).date()
    guards = [
        (row, guard)
        for row in _running(sight, patient_id)
        if isinstance(guard := from_json(row["timing"]), AsNeeded)
    ]
    if not guards:
        return ()
    taken = _taken(sight, patient_id)
    return tuple(
        _allowed(row, guard, taken[row["regimen_id"]], sight, zone, today)
        for row, guard in guards
    )


def _allowed(
    row: RowMapping,
    guard: AsNeeded,
    events: Sequence[RowMapping],
    sight: Sight,
    zone: ZoneInfo,
    today: date,
) -> AsNeededRow:
    doses = [
        Taken(one["occurred_at"], doses_in(one, row["amount"], row["unit"]))
        for one in events
    ]
    free = free_at(guard, doses, sight.now)
    return AsNeededRow(
        what=str(row["name"]),
        said=_told(row, guard, zone, today, own=True),
        regimen_id=row["regimen_id"],
        free_at=free if free > sight.now else None,
        taken=float(in_24_hours(doses, sight.now)),
        most=guard.most_in_24_hours,
        key=uuid4(),
    )


def _told(
    row: RowMapping, timing: Timing, zone: ZoneInfo, today: date, *, own: bool
) -> Prescribed:
    spoken = str(row["language"] or ENGLISH).split("-")[0].lower()
    language = spoken if own and spoken in LANGUAGES else ENGLISH
    said = sentence(
        timing,
        zone=zone,
        amount=row["amount"],
        unit=row["unit"],
        start=row["effective_from"].astimezone(zone).date(),
        end=row["until"] and row["until"].astimezone(zone).date(),
        today=today,
        language=language,
    )
    return Prescribed(f"{row['name']}: {said}.", language)


def _running(sight: Sight, patient_id: UUID) -> Sequence[RowMapping]:
    return sight.rows(
        """DISTINCT ON (v.regimen_id) v.regimen_id, v.timing, v.amount, v.unit,
        v.effective_from, v.until, COALESCE(p.name, initcap(g.drug)) AS name,
        (SELECT l.language FROM patient_language l WHERE l.patient_id = v.patient_id
            AND l.effective_from <= :now ORDER BY l.effective_from DESC LIMIT 1)
            AS language""",
        """regimen_version v JOIN regimen g USING (patient_id, regimen_id)
        LEFT JOIN product p USING (gtin)""",
        (
            "v.patient_id = :patient AND v.effective_from <= :now",
            "(v.until IS NULL OR v.until > :now)",
        ),
        of="v.patient_id",
        order="v.regimen_id, v.version DESC",
        given={"patient": patient_id},
    )


def _taken(sight: Sight, patient_id: UUID) -> dict[UUID, list[RowMapping]]:
    rows = sight.rows(
        "e.regimen_id, e.occurred_at, e.amount, e.unit",
        "dose_event e",
        (
            "e.patient_id = :patient AND e.voided_at IS NULL",
            "e.label <> ALL(:no_dose)",
            f"e.occurred_at > CAST(:now AS timestamptz) - interval '{LONGEST_BACK}'",
            """EXISTS (SELECT FROM regimen_version v
                WHERE v.patient_id = e.patient_id AND v.regimen_id = e.regimen_id
                  AND v.timing ->> 'kind' = 'as_needed')""",
        ),
        of="e.patient_id",
        order="e.occurred_at",
        given={"patient": patient_id, "no_dose": list(NO_DOSE)},
    )
    found: defaultdict[UUID, list[RowMapping]] = defaultdict(list)
    for row in rows:
        found[row["regimen_id"]].append(row)
    return found
