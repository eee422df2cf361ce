"""The operator's list of devices."""

import re
from datetime import datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from sqlmodel import Session

from backend.dashboards.device_words import words_of
from backend.database import transaction
from backend.database.sets import fetch
from backend.devices.tables import (
    DeviceContact,
    DeviceEvent,
    DeviceRecord,
    DeviceReplacement,
)
from tests import builders
from tests.backend.dashboards.clinic import Clinic, next_in, signed_in


def a_device(
    session: Session,
    clinic: Clinic,
    serial: str,
    *,
    heard: datetime | None = None,
    unused: int = 0,
) -> None:
    device_id = builders.a_device(session, clinic.world.clinic, serial=serial).device_id
    session.add(DeviceContact(device_id=device_id, heard_until=heard))
    session.add_all(
        DeviceRecord(
            device_id=device_id,
            epoch=1,
            sequence=n,
            payload_hash=b"x",
            status="quarantined" if n else "unassigned",
            item={},
            received_at=clinic.now,
        )
        for n in range(unused)
    )


def serials(page: str) -> list[str]:
    return re.findall(r"<code>([^<]+)</code>", page)


def test_devices_go_on_where_the_page_stopped_each_once_and_what_needs_a_look_first(
    web: httpx.Client, clinic: Clinic
) -> None:
    hour = timedelta(hours=1)
    with transaction() as session:
        for serial, hours, unused in (
            ("TODAY", 1, 0),
            ("LONG-AGO", 900, 0),
            ("ALIKE~2", 30, 0),
            ("ALIKE~1", 30, 0),
            ("TROUBLED", 1, 3),
        ):
            heard = clinic.now - hours * hour
            a_device(session, clinic, serial, heard=heard, unused=unused)
        a_device(session, clinic, "NEVER-1")
        a_device(session, clinic, "NEVER-2")
    with signed_in(web, clinic.operator) as browser:
        found: list[str] = []
        path: str | None = "/devices?limit=2"
        while path:
            page = browser.get(path).text
            found += serials(page)
            path = next_in(page)
        assert browser.get("/devices?after=1~2").status_code == 422

    own = ["TROUBLED", "NEVER-1", "NEVER-2", "LONG-AGO", "ALIKE~1", "ALIKE~2", "TODAY"]
    assert [one for one in found if one in own] == own
    assert len(found) == len(own) + 1  # and the box that the clinic has anyway


def test_a_device_says_what_it_sent_that_nobody_could_use(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        a_device(session, clinic, "TROUBLED", heard=clinic.now, unused=2)
    with signed_in(web, clinic.operator) as browser:
        page = browser.get("/devices").text
    row = page.partition("TROUBLED")[2].partition("</li>\n    <li")[0]
    assert "Not assigned" in row
    assert "1 record without a patient" in row
    assert "1 in quarantine" in row


def test_a_device_in_use_that_is_not_heard_needs_a_look(
    web: httpx.Client, clinic: Clinic
) -> None:
    long_ago = clinic.now - timedelta(hours=49)
    with transaction() as session:
        session.merge(
            DeviceContact(device_id=clinic.world.device_id, heard_until=long_ago)
        )
    with signed_in(web, clinic.operator) as browser:
        page = browser.get("/devices").text

    assert "Not heard for two days" in page
    assert "Nothing to do" not in page


def test_a_battery_that_ends_too_soon_is_shown_and_answered(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        a_device(session, clinic, "WEAK", heard=clinic.now)
        known = fetch(session, "SELECT device_id FROM device WHERE serial = 'WEAK'")
        device_id = known[0]["device_id"]
        session.add(
            DeviceReplacement(
                patient_id=clinic.patient_id,
                device_id=device_id,
                decision_id=uuid4(),
                state="proposed",
                proposed_at=clinic.now,
                act_by=clinic.now,
                empty_early=clinic.now + timedelta(days=7),
                empty_expected=clinic.now + timedelta(days=9),
                changed_at=clinic.now,
            )
        )
    with signed_in(web, clinic.operator) as browser:
        page = browser.get("/devices").text
        path = f"/devices/{device_id}/replacement"
        answered = browser.submit("/devices", path, state="done")
        again = browser.submit("/", path, state="done")
        after = browser.get("/devices").text

    assert serials(page)[0] == "WEAK"
    assert "Replace the battery by" in page
    assert answered.status_code in (200, 303)
    assert again.status_code == 409
    assert "Replace the battery by" not in after


def test_what_a_device_told_of_itself_lately_stands_in_front(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        a_device(session, clinic, "SOUND", heard=clinic.now)
        a_device(session, clinic, "ODD", heard=clinic.now)
        for row in fetch(session, "SELECT device_id, serial FROM device"):
            days = {"ODD": 3, "SOUND": 30}.get(row["serial"])
            if days is None:
                continue
            session.add_all(
                DeviceEvent(
                    device_id=row["device_id"],
                    event_id=f"{kind} {n}",
                    kind=kind,
                    recorded_at=clinic.now - timedelta(days=days),
                )
                for kind in ("reset", "clock_wrong", "container_closed")
                for n in range(2)
            )
    with signed_in(web, clinic.operator) as browser:
        page = browser.get("/devices").text

    assert serials(page)[0] == "ODD"
    assert page.count("Was reset") == page.count("Clock was wrong") == 1


def test_all_that_a_device_told_of_its_clock_is_said_in_words(
    web: httpx.Client, clinic: Clinic
) -> None:
    told: list[tuple[str, dict[str, object], str]] = [
        ("clock_drift", {"rate_ppm": 500.0}, "Clock gains 43 s a day"),
        ("clock_jump", {"moved_s": -10800.0, "why": "moved"}, "moved back by 3 h"),
        ("clock_set", {"by": "bridge"}, "Clock was set"),
        ("clock_wrong", {"why": "ahead", "offset_s": 190.0}, "was 3 min ahead"),
        ("clock_wrong", {"why": "not set", "offset_s": None}, "Clock is not set"),
        ("clock_wrong", {"why": "stopped"}, "Clock stood still"),
        ("clock_wrong", {"why": "unsteady"}, "Clock runs unevenly"),
        ("clock_wrong", {"why": "future", "record": 3}, "stamped in the future"),
        ("reset", {"epoch": 1}, "Was reset"),
    ]
    with transaction() as session:
        a_device(session, clinic, "ODD", heard=clinic.now)
        a_device(session, clinic, "SET", heard=clinic.now)
        found = fetch(session, "SELECT device_id, serial FROM device")
        ids = {row["serial"]: row["device_id"] for row in found}
        session.merge(
            DeviceContact(
                device_id=ids["ODD"], clock_offset_s=-2.25, clock_uncertainty_s=0.1
            )
        )
        session.add_all(
            DeviceEvent(
                device_id=ids["SET" if kind == "clock_set" else "ODD"],
                event_id=f"{n}",
                kind=kind,
                recorded_at=clinic.now,
                detail=detail,
            )
            for n, (kind, detail, _) in enumerate(told)
        )
    with signed_in(web, clinic.operator) as browser:
        page = browser.get("/devices").text

    assert [words for _, _, words in told if words not in page] == []
    assert "clock -2.2 ±0.1 s" in page
    assert serials(page)[0] == "ODD"
    assert serials(page)[-1] == "SET"  # a clock that was set asks nothing of anybody


@pytest.mark.parametrize(
    ("kind", "detail", "words"),
    [
        ("clock_drift", {"rate_ppm": -1e3}, "Clock loses 86 s a day"),
        ("clock_drift", {"rate_ppm": "fast"}, "Clock drifts"),
        ("clock_jump", {"moved_s": 3e8}, "ahead by 3472 days"),
        ("clock_jump", {"why": "backwards"}, "Clock was moved, nobody knows when"),
        ("clock_jump", {"moved_s": True}, "Clock was moved, nobody knows when"),
        ("clock_wrong", {"why": "behind", "offset_s": -61.0}, "was 61 s behind"),
        ("clock_wrong", {"why": ["odd"], "offset_s": float("inf")}, "Clock was wrong"),
    ],
)
def test_details_are_said_where_they_make_sense(
    kind: str, detail: dict[str, object], words: str
) -> None:
    assert words in words_of(kind, detail)
