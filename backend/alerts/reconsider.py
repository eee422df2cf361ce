"""What new facts do to alerts at once: the rest is for the screening job."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.alerts.raise_ import Seen, trigger
from backend.database.sets import execute

UNIT_RULE = "stock-unit"


def reconsider(
    session: Session,
    patient_ids: Collection[UUID],
    inconvertible: Collection[tuple[UUID, str]] = (),
    *,
    now: datetime,
) -> None:
    """Have these patients screened, and flag stock that cannot be counted.

    `inconvertible` are (patient, GTIN) whose use came in a unit other than the
    product's. The screening job runs seconds later: it raises what is true now and
    retracts what the new facts disprove.
    """
    execute(
        session,
        """INSERT INTO screen_due (patient_id, since)
        SELECT patient_id, :now FROM unnest(CAST(:ids AS uuid[])) AS t(patient_id)
        ORDER BY patient_id ON CONFLICT DO NOTHING""",
        ids=sorted(set(patient_ids)),
        now=now,
    )
    trigger(
        session,
        [
            Seen(
                patient_id,
                f"{UNIT_RULE}:{gtin}",
                1,
                "low",
                "Stock cannot be counted: an amount or its unit is unknown",
                {"code": UNIT_RULE, "subject": gtin},
            )
            for patient_id, gtin in inconvertible
        ],
        now=now,
    )
