"""What the database knows of a study already: its clinic, codes and monitors."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from sqlmodel import Session

from backend.database.sets import fetch
from backend.errors import Conflict
from backend.imports.study_rows import Monitor

STUDIES = UUID("8f1d3c5e-5a0b-4d7a-9c55-2f6a1e0b7c31")


class OtherwiseImported(Conflict):
    """The study was imported before, into another clinic or with another zone."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study by its name. `id` stands for it wherever somebody's id is asked for."""

    name: str

    @property
    def system(self) -> str:
        """Whose codes these are: of patients as identifiers, of monitors as serials."""
        return f"study:{self.name}"

    @property
    def id(self) -> UUID:
        return uuid5(STUDIES, self.name)


@dataclass(frozen=True, slots=True)
class Use:
    """A monitor was a patient's from `since` until `until`."""

    assignment_id: UUID
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """The codes of a study that stand for something, and how monitors were used."""

    clinic_id: UUID | None
    zone: str | None
    patients: Mapping[str, UUID]
    devices: Mapping[str, UUID]
    regimens: Mapping[Monitor, UUID]
    uses: Mapping[Monitor, list[Use]]
    erased: frozenset[UUID]


def what_is_known(session: Session, study: Study) -> Known:
    """Return what an earlier import of this study has left."""
    system = study.system
    people = fetch(
        session,
        """SELECT l.value, l.patient_id, l.clinic_id, z.zone
        FROM identifier_lookup l
        LEFT JOIN LATERAL (SELECT zone FROM patient_zone z
            WHERE z.patient_id = l.patient_id
            ORDER BY z.effective_from LIMIT 1) z ON true
        WHERE l.system = :system""",
        system=system,
    )
    devices = fetch(
        session,
        "SELECT serial, device_id, clinic_id FROM device WHERE maker = :system",
        system=system,
    )
    regimens: dict[Monitor, UUID] = {}
    uses: defaultdict[Monitor, list[Use]] = defaultdict(list)
    for row in fetch(session, USES, system=system):
        monitor = row["code"], row["serial"]
        uses[monitor].append(Use(row["assignment_id"], row["since"], row["until"]))
        if row["regimen_id"] is not None:
            regimens[monitor] = row["regimen_id"]
    clinics = {row["clinic_id"] for row in (*people, *devices)}
    if len(clinics) > 1:
        raise OtherwiseImported(f"The codes of {study.name} are of several clinics.")
    return Known(
        next(iter(clinics), None),
        next((row["zone"] for row in people), None),
        {row["value"]: row["patient_id"] for row in people},
        {row["serial"]: row["device_id"] for row in devices},
        regimens,
        dict(uses),
        frozenset(row["device_id"] for row in fetch(session, ERASED, system=system)),
    )


# By the code that the patient had in the study, also after two files were merged.
USES = """
SELECT DISTINCT ON (a.assignment_id) i.value AS code, d.serial, a.assignment_id,
    a.since, COALESCE(a.until, '2100-01-01Z') AS until, a.regimen_id
FROM device d
JOIN assignment a USING (device_id)
JOIN patient_identifier i ON i.patient_id = a.patient_id AND i.system = :system
WHERE d.maker = :system
ORDER BY a.assignment_id, i.since
"""
ERASED = """
SELECT device_id FROM device d WHERE maker = :system
AND NOT EXISTS (SELECT FROM assignment a WHERE a.device_id = d.device_id)
"""
