"""The devices of a clinic, for those who look after them: no patient is named."""

from uuid import UUID

from sqlmodel import Session

from backend.dashboards.views import DeviceListPage, RegisteredDevice
from backend.database.sets import fetch
from backend.people.readers import Reader, only


def device_list(session: Session, reader: Reader) -> DeviceListPage:
    """Return the devices of the reader's clinic, what needs a look in front.

    Counts records that nobody had the device for, and those kept without being used.
    """
    only(reader, "technician", "operator")
    rows = fetch(
        session,
        """SELECT d.device_id, d.kind, d.maker, d.model, d.serial, c.heard_until,
            c.battery_percent, r.unassigned, r.quarantined,
            EXISTS (SELECT FROM assignment a WHERE a.device_id = d.device_id
                AND a.until IS NULL) AS assigned
        FROM device d LEFT JOIN device_contact c USING (device_id)
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE status = 'unassigned') AS unassigned,
                count(*) FILTER (WHERE status = 'quarantined') AS quarantined
            FROM device_record r WHERE r.device_id = d.device_id
              AND r.status <> 'used') r ON true
        WHERE d.clinic_id = :clinic AND d.retired_at IS NULL
        ORDER BY r.unassigned + r.quarantined DESC, c.heard_until NULLS FIRST, d.serial
        LIMIT 500""",
        clinic=_clinic(reader),
    )
    return DeviceListPage(
        rows=tuple(
            RegisteredDevice(
                name=f"{row['maker']} {row['model']}",
                serial=row["serial"],
                kind=row["kind"],
                heard_until=row["heard_until"],
                battery_percent=row["battery_percent"],
                assigned=row["assigned"],
                unassigned=row["unassigned"],
                quarantined=row["quarantined"],
            )
            for row in rows
        )
    )


def _clinic(reader: Reader) -> UUID:
    assert reader.clinic_id is not None, "whoever works at a clinic has one"
    return reader.clinic_id
