"""The devices of a clinic, for those who look after them: no patient is named."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.dashboards.device_words import words_of
from backend.dashboards.keyset import (
    USUAL,
    address,
    identity,
    instant,
    page_of,
    understood,
    written,
)
from backend.dashboards.shelf import DeviceListPage, RegisteredDevice, Replacement
from backend.database.sets import fetch
from backend.people.readers import Reader, only
from backend.state.need import SILENT_AFTER

PATH = "/devices"
RECENTLY = timedelta(days=14)
CALM = "clock_set"  # told, and nothing to look into
# One that was never heard stands where one heard at the beginning of time would.
LIST = """
SELECT * FROM (
    SELECT d.device_id, d.kind, d.maker, d.model, d.serial, c.heard_until,
        c.battery_percent, r.unassigned, r.quarantined, b.act_by, b.empty_early,
        b.empty_late, COALESCE(t.told, '[]') AS told,
        c.clock_offset_s, c.clock_uncertainty_s,
        r.unassigned + r.quarantined + CAST(b.act_by IS NOT NULL AS int)
            + COALESCE(t.troubles, 0) AS unused,
        COALESCE(c.heard_until, 'epoch') AS heard_from,
        EXISTS (SELECT FROM assignment a WHERE a.device_id = d.device_id
            AND a.until IS NULL) AS assigned
    FROM device d LEFT JOIN device_contact c USING (device_id)
    LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE status = 'unassigned') AS unassigned,
            count(*) FILTER (WHERE status = 'quarantined') AS quarantined
        FROM device_record r WHERE r.device_id = d.device_id
          AND r.status <> 'used') r ON true
    LEFT JOIN LATERAL (
        SELECT act_by, empty_early, empty_late FROM device_replacement p
        WHERE p.device_id = d.device_id AND p.state = 'proposed'
        ORDER BY act_by LIMIT 1) b ON true
    LEFT JOIN LATERAL (  -- the latest of each kind and reason
        SELECT jsonb_agg(jsonb_build_object('kind', n.kind, 'detail', n.detail)
                ORDER BY n.kind, n.why) AS told,
            count(*) FILTER (WHERE n.kind <> :calm) AS troubles
        FROM (SELECT DISTINCT ON (e.kind, why) e.kind, e.detail,
                e.detail ->> 'why' AS why
            FROM device_event e WHERE e.device_id = d.device_id
              AND e.kind IN ('battery_low', 'clock_drift', 'clock_jump', 'clock_set',
                'clock_wrong', 'fault', 'gap', 'reset')
              AND e.recorded_at > :recently
            ORDER BY e.kind, why, e.recorded_at DESC) n) t ON true
    WHERE d.clinic_id = :clinic AND d.retired_at IS NULL) l
WHERE CAST(:id AS uuid) IS NULL OR (-unused, heard_from, serial, device_id)
    > (-CAST(:unused AS bigint), CAST(:heard_from AS timestamptz),
        (SELECT serial FROM device WHERE device_id = :id), CAST(:id AS uuid))
ORDER BY unused DESC, heard_from, serial, device_id
LIMIT :most"""


def device_list(
    session: Session,
    reader: Reader,
    *,
    now: datetime,
    after: str | None = None,
    limit: int = USUAL,
) -> DeviceListPage:
    """Return the devices of the reader's clinic, what needs a look in front.

    Counts records that nobody had the device for, and those kept without being used.
    """
    only(reader, "technician", "operator")
    key = understood(after, int, instant, identity) or (None, None, None)
    found = fetch(
        session,
        LIST,
        clinic=_clinic(reader),
        recently=now - RECENTLY,
        calm=CALM,
        unused=key[0],
        heard_from=key[1],
        id=key[2],
        most=limit + 1,
    )
    rows, last = page_of(found, limit)
    onward = last and written(last["unused"], last["heard_from"], last["device_id"])
    shown = None if limit == USUAL else limit
    return DeviceListPage(
        rows=tuple(_device(row, now) for row in rows),
        first_href=address(PATH, limit=shown) if after else None,
        next_href=address(PATH, limit=shown, after=onward) if onward else None,
    )


def _device(row: RowMapping, now: datetime) -> RegisteredDevice:
    heard = row["heard_until"]
    return RegisteredDevice(
        name=f"{row['maker']} {row['model']}",
        serial=row["serial"],
        kind=row["kind"],
        heard_until=heard,
        battery_percent=row["battery_percent"],
        clock=_clock(row),
        replace=_replacement(row),
        troubles=_said(one for one in row["told"] if one["kind"] != CALM),
        notes=_said(one for one in row["told"] if one["kind"] == CALM),
        assigned=row["assigned"],
        unassigned=row["unassigned"],
        quarantined=row["quarantined"],
        silent=row["assigned"] and (heard is None or now - heard > SILENT_AFTER),
    )


def _clock(row: RowMapping) -> str | None:
    """Return how far the clock was ahead when it was last read."""
    if row["clock_offset_s"] is None:
        return None
    return f"{row['clock_offset_s']:+.1f} ±{row['clock_uncertainty_s'] or 0:.1f} s"


def _said(told: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the words, each once."""
    return tuple({words_of(one["kind"], one["detail"]): None for one in told})


def _replacement(row: RowMapping) -> Replacement | None:
    if row["act_by"] is None:
        return None
    return Replacement(
        row["device_id"], row["act_by"], row["empty_early"], row["empty_late"]
    )


def _clinic(reader: Reader) -> UUID:
    assert reader.clinic_id is not None, "whoever works at a clinic has one"
    return reader.clinic_id
