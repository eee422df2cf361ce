"""Run the detectors over patients and turn what they find into alerts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from analytics.detectors import DETECTORS
from analytics.detectors.missed_run import AT_LEAST as MISSED_AT_LEAST
from analytics.detectors.missed_run import CODE as MISSED
from analytics.detectors.missed_run import longest_run
from analytics.detectors.silence import CODE as SILENT
from analytics.findings import Finding
from backend.alerts.history import Seen, doses_behind, histories
from backend.alerts.raise_ import Seen as Sighting
from backend.alerts.raise_ import retract, trigger
from backend.alerts.tables import Alert
from backend.database.sets import execute, fetch

VERSION = 1
SEVERITY = {SILENT: "low"}  # everything else: medium
Judged = Mapping[tuple[UUID, str], Mapping[str, object]]
CRITICAL = {"low": "medium", "medium": "high"}  # for a drug that must not be missed


def screen(
    session: Session, patient_ids: Collection[UUID], *, now: datetime
) -> set[UUID]:
    """Raise what is true now, take back what is not; return whose alerts changed.

    The patients must be held. An alert is retracted when the facts it was built on
    no longer stand, or when a silent device was heard again. A run of missed doses
    that merely ended stays, for a clinician to close. What a clinician has closed
    comes back only with newer facts.
    """
    seen = histories(session, patient_ids, now=now)
    sightings = [
        _sighting(patient_id, finding, one)
        for patient_id, one in seen.items()
        for finding in _findings(one, now)
    ]
    judged = _judged(session, seen)
    news = [one for one in sightings if not _was_judged(one, judged)]
    opened = trigger(session, news, now=now)
    standing = {(one.patient_id, one.rule) for one in sightings}
    lapsed = [
        alert
        for alert in _open(session, patient_ids)
        if (alert.patient_id, alert.rule) not in standing
    ]
    over = _over(session, lapsed)
    return opened | retract(session, over, because="disproved by newer facts", now=now)


def due_again(session: Session, *, now: datetime) -> int:
    """Have patients screened whose device went silent: no new fact would do it."""
    return execute(
        session,
        """INSERT INTO screen_due (patient_id, since)
        SELECT DISTINCT a.patient_id, CAST(:now AS timestamptz)
        FROM assignment a JOIN device d USING (device_id)
        LEFT JOIN device_contact c USING (device_id)
        WHERE a.regimen_id IS NOT NULL AND a.since <= :now
          AND (a.until IS NULL OR a.until > :now)
          AND GREATEST(a.since, d.registered_at, c.heard_until)
              < CAST(:now AS timestamptz) - interval '2 days'
          AND NOT EXISTS (SELECT FROM alert t WHERE t.patient_id = a.patient_id
            AND t.rule = :code || ':' || a.device_id
            AND (t.state <> 'closed' OR t.closed_by IS NOT NULL
                AND t.triggered_at > GREATEST(a.since, c.heard_until)))
        ORDER BY 1  -- as all do, or two who add to the queue block each other
        ON CONFLICT DO NOTHING""",
        now=now,
        code=SILENT,
    )


def _findings(one: Seen, now: datetime) -> Iterable[Finding]:
    for detector in DETECTORS.values():
        yield from detector.detect(one.history, now)


def _sighting(patient_id: UUID, finding: Finding, seen: Seen) -> Sighting:
    severity = SEVERITY.get(finding.code, "medium")
    if finding.subject in seen.critical:
        severity = CRITICAL[severity]
    return Sighting(
        patient_id,
        f"{finding.code}:{finding.subject}",
        VERSION,
        severity,
        finding.summary,
        {
            "code": finding.code,
            "subject": finding.subject,
            "since": finding.since.isoformat(),
            "at": finding.at.isoformat(),
            "numbers": dict(finding.numbers),
            "parameters": dict(finding.parameters),
        },
    )


def _judged(session: Session, patient_ids: Collection[UUID]) -> Judged:
    """Return of each (patient, rule) the findings that a person closed, the last."""
    rows = fetch(
        session,
        """SELECT DISTINCT ON (patient_id, rule) patient_id, rule, finding FROM alert
        WHERE patient_id = ANY(:ids) AND state = 'closed' AND closed_by IS NOT NULL
        ORDER BY patient_id, rule, closed_at DESC""",
        ids=sorted(patient_ids),
    )
    return {(row["patient_id"], row["rule"]): row["finding"] for row in rows}


def _was_judged(one: Sighting, judged: Judged) -> bool:
    """Whether a person closed this very finding: only a newer fact brings it back.

    A silence has none: it is the same until the device is heard. When anything else
    began says little: a long run of missed doses begins where the look-back does.
    """
    known = judged.get((one.patient_id, one.rule))
    if known is None:
        return False
    if one.finding["code"] == SILENT:
        return known.get("since") == one.finding["since"]
    return str(known.get("at")) >= str(one.finding["at"])


def _open(session: Session, patient_ids: Collection[UUID]) -> Sequence[Alert]:
    return session.exec(
        select(Alert)
        .where(col(Alert.patient_id).in_(patient_ids))
        .where(Alert.state != "closed")
    ).all()


def _over(session: Session, lapsed: Sequence[Alert]) -> Collection[tuple[UUID, str]]:
    """Return (patient, rule) of lapsed alerts that are over, or said what is untrue.

    A silence is over. A run of missed doses is untrue when too few of its doses are
    still missed one after the other.
    """
    runs = [alert for alert in lapsed if alert.finding.get("code") == MISSED]
    doses = doses_behind(session, runs)
    untrue = [
        run
        for run in runs
        if longest_run(doses.get(run.alert_id, ())) < MISSED_AT_LEAST
    ]
    silent = [alert for alert in lapsed if alert.finding.get("code") == SILENT]
    return {(alert.patient_id, alert.rule) for alert in untrue + silent}
