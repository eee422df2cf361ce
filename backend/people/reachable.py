"""How patients are reached by what is sent to them by itself, one row a patient.

Language, addresses and the consents to be reminded lie in three tables with their
history. Eight in the morning asks a hundred thousand patients for all of it at once,
so what holds after the last known change is kept beside them. Whoever changes one of
the three calls `keep_reach` in the same transaction, the patient held.
"""

from collections.abc import Collection
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute


def keep_reach(session: Session, patient_ids: Collection[UUID]) -> None:
    """Write down how these patients are reached once all known changes hold."""
    session.flush()
    execute(session, KEEP, ids=sorted(patient_ids))


# `since` is the last change: a reader of an earlier instant has to look at the history
# (`AT_THE_MOMENT`), and nobody has to come back when a change that lies ahead holds.
KEEP = """
INSERT INTO patient_reach (patient_id, since, language, addresses, reminders, naming)
SELECT p.patient_id,
    greatest(
        (SELECT max(effective_from) FROM patient_language AS l
         WHERE l.patient_id = p.patient_id),
        (SELECT greatest(max(c.since), max(c.until)) FROM contact_point AS c
         WHERE c.patient_id = p.patient_id),
        (SELECT greatest(max(s.since), max(s.until)) FROM consent AS s
         WHERE s.patient_id = p.patient_id AND s.purpose IN ('reminders', 'naming')),
        p.recorded_at),
    (SELECT l.language FROM patient_language AS l WHERE l.patient_id = p.patient_id
     ORDER BY l.effective_from DESC LIMIT 1),
    (SELECT coalesce(jsonb_object_agg(best.channel, best.addresses), '{}')
     FROM (SELECT c.channel,
               jsonb_agg(c.address ORDER BY c.rank, c.since DESC, c.address)
               AS addresses
           FROM contact_point AS c
           WHERE c.patient_id = p.patient_id AND c.until IS NULL
           GROUP BY c.channel) AS best),
    ARRAY(SELECT s.recipient_id FROM consent AS s WHERE s.patient_id = p.patient_id
          AND s.purpose = 'reminders' AND s.until IS NULL ORDER BY 1),
    ARRAY(SELECT s.recipient_id FROM consent AS s WHERE s.patient_id = p.patient_id
          AND s.purpose = 'naming' AND s.until IS NULL ORDER BY 1)
FROM patient AS p WHERE p.patient_id = ANY(:ids)
ON CONFLICT (patient_id) DO UPDATE
SET since = excluded.since, language = excluded.language,
    addresses = excluded.addresses, reminders = excluded.reminders,
    naming = excluded.naming
"""

# Both are joined to rows `q` with a `patient_id`, give the same columns, and take the
# instant as `%(now)s`. The first has a row only where it says what holds then.
AS_KEPT = """
LEFT JOIN patient_reach AS reach
    ON reach.patient_id = q.patient_id AND reach.since <= %(now)s
"""

AT_THE_MOMENT = """
LEFT JOIN LATERAL (
    SELECT q.patient_id,
        (SELECT l.language FROM patient_language AS l
         WHERE l.patient_id = q.patient_id AND l.effective_from <= %(now)s
         ORDER BY l.effective_from DESC LIMIT 1) AS language,
        (SELECT coalesce(jsonb_object_agg(best.channel, best.addresses), '{}')
         FROM (SELECT c.channel,
                   jsonb_agg(c.address ORDER BY c.rank, c.since DESC, c.address)
                   AS addresses
               FROM contact_point AS c
               WHERE c.patient_id = q.patient_id AND c.since <= %(now)s
                 AND (c.until IS NULL OR c.until > %(now)s)
               GROUP BY c.channel) AS best) AS addresses,
        ARRAY(SELECT s.recipient_id FROM consent AS s
              WHERE s.patient_id = q.patient_id AND s.purpose = 'reminders'
                AND s.since <= %(now)s AND (s.until IS NULL OR s.until > %(now)s)
              ORDER BY 1) AS reminders,
        ARRAY(SELECT s.recipient_id FROM consent AS s
              WHERE s.patient_id = q.patient_id AND s.purpose = 'naming'
                AND s.since <= %(now)s AND (s.until IS NULL OR s.until > %(now)s)
              ORDER BY 1) AS naming
    ) AS reach ON true
"""
