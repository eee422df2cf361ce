"""What new facts do to alerts at once: the rest is for the screening job."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.alerts.raise_ import Seen, trigger
from backend.database.sets import execute, fetch

UNIT_RULE = "stock-unit"
SHORT_RULE = "run-out"


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


def warn_short(
    session: Session, short: Mapping[tuple[UUID, str], datetime], *, now: datetime
) -> None:
    """Say once that a (patient, GTIN) runs out before a new order could arrive.

    Nothing is ordered for it, because a person cancelled: at the instant given. Who
    was told since then, and has perhaps closed the alert, is not told again.
    """
    if not short:
        return
    untold = fetch(
        session,
        """SELECT r.patient_id, r.gtin, s.run_out_on
        FROM rows(patient_id uuid, gtin text, since timestamptz)
        JOIN stock s USING (patient_id, gtin)
        WHERE NOT EXISTS (SELECT FROM alert a WHERE a.patient_id = r.patient_id
            AND a.rule = CAST(:rule AS text) || ':' || r.gtin
            AND a.triggered_at >= r.since)""",
        [
            {"patient_id": patient_id, "gtin": gtin, "since": since}
            for (patient_id, gtin), since in short.items()
        ],
        rule=SHORT_RULE,
    )
    trigger(
        session,
        [
            Seen(
                row["patient_id"],
                f"{SHORT_RULE}:{row['gtin']}",
                1,
                "medium",
                "Medicine runs out soon, and the last order was cancelled",
                {
                    "code": SHORT_RULE,
                    "subject": row["gtin"],
                    "run_out_on": row["run_out_on"].isoformat(),
                },
            )
            for row in untold
        ],
        now=now,
    )
