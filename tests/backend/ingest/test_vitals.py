"""Vitals as they arrive: verdicts, whose they are, and what follows."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import text

from backend.database import transaction
from backend.ingest.vital_items import read as read_items
from backend.ingest.vitals import accept_vitals
from backend.people.readers import Sender
from backend.vitals.read import read
from tests.backend.ingest.ward import HEART, Ward
from tests.builders import NOW, a_clinic, a_patient, an_assignment


@pytest.fixture
def ward(db: object) -> Ward:
    with transaction() as session:
        return Ward(session)


def send(
    by: Sender,
    segments: list[Any] | None = None,
    samples: list[Any] | None = None,
    *,
    now: datetime = NOW,
) -> Any:  # noqa: ANN401 (JSON)
    body = orjson.dumps({"segments": segments or [], "samples": samples or []})
    with transaction() as session:
        return accept_vitals(session, read_items(body), by=by, now=now)


def verdicts(answer: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    return [(one["verdict"], one["reason"]) for one in answer["segments"]]


def samples_of(patient_id: UUID, code: str = HEART) -> dict[float, float]:
    """What is stored: seconds after NOW to value."""
    with transaction() as session:
        series = read(
            session,
            [patient_id],
            code,
            first=NOW - timedelta(days=365 * 40),
            until=NOW + timedelta(days=365),
            reader=None,
            now=NOW,
        )[patient_id]
    after = (series.times - int(NOW.timestamp() * 1e6)) / 1e6
    return dict(zip(after.tolist(), series.values.tolist(), strict=True))


def scalar(statement: str) -> Any:  # noqa: ANN401 (whatever was asked for)
    with transaction() as session:
        return session.connection().execute(text(statement)).scalar()


def test_a_segment_of_a_worn_device_reaches_its_patient(ward: Ward) -> None:
    answer = send(ward.gateway, [ward.segment()])

    assert answer["segments"] == [
        {"verdict": "new", "reason": None, "detail": None, "stored": 3, "known": 0}
    ]
    assert samples_of(ward.rosa.patient_id) == {-120: 60, -119: 61, -118: 62}


def test_a_repeat_is_known_and_has_no_consequences(ward: Ward) -> None:
    send(ward.gateway, [ward.segment()])
    before = scalar("SELECT version FROM patient_state"), scalar(AUDITED)

    answer = send(ward.gateway, [ward.segment()])

    assert verdicts(answer) == [("known", None)]
    assert answer["segments"][0]["known"] == 3
    assert (scalar("SELECT version FROM patient_state"), scalar(AUDITED)) == before


def test_the_newest_value_shows_in_the_state_and_an_older_one_does_not(
    ward: Ward,
) -> None:
    send(ward.gateway, [ward.segment()])
    send(ward.gateway, [ward.segment(id="old", start=ago(hours=3), values=[90])])
    send(ward.cloud, samples=[ward.sample()])

    state = scalar("SELECT vitals FROM patient_state")

    at = "2026-03-04T08:58:02.000Z"
    assert state[HEART] == {"value": 62, "unit": "/min", "at": at}
    assert state["59408-5"]["value"] == 97.5
    assert scalar("SELECT version FROM patient_state") == 2
    assert scalar("SELECT vital_at = :at FROM patient_state".replace(":at", f"'{at}'"))


def test_a_resting_heart_rate_shows_in_the_list(ward: Ward) -> None:
    send(ward.gateway, [ward.segment(code="40443-4", values=[55])])
    send(ward.gateway, [ward.segment(id="b")])

    assert scalar("SELECT resting_heart_rate FROM patient_state") == 55


def test_new_samples_call_the_detectors_and_leave_one_audit_row(ward: Ward) -> None:
    send(ward.gateway, [ward.segment(), ward.segment(id="b", start=ago(hours=1))])

    assert scalar("SELECT patient_id FROM screen_due") == ward.rosa.patient_id
    assert scalar("SELECT since FROM screen_due") == NOW
    assert scalar(AUDITED) == 1
    assert scalar("SELECT patients FROM audit_row") == [ward.rosa.patient_id]


@pytest.mark.parametrize(
    ("claimed", "age", "live"),
    [
        (True, timedelta(minutes=14), True),
        (True, timedelta(minutes=16), False),
        (False, timedelta(minutes=1), False),
    ],
    ids=["in time", "too late", "not claimed"],
)
def test_live_is_the_servers_decision(
    ward: Ward,
    claimed: bool,  # noqa: FBT001
    age: timedelta,
    live: bool,  # noqa: FBT001
) -> None:
    start = (NOW - age).isoformat()
    send(ward.gateway, [ward.segment(start=start, values=[60], claimed_live=claimed)])
    sample = ward.sample(at=start, claimed_live=claimed)
    send(ward.cloud, samples=[sample])

    assert scalar("SELECT array_agg(DISTINCT live) FROM vital_segment") == [live]


def test_a_batch_gets_its_verdicts_in_order(ward: Ward) -> None:
    answer = send(
        ward.gateway,
        [
            ward.segment(),
            ward.segment(id="2", code="99999-9"),
            ward.segment(id="3", unit="bpm"),
            ward.segment(id="4", values=[60, 600, 60]),
            ward.segment(id="5", start=(NOW + timedelta(minutes=6)).isoformat()),
            ward.segment(id="6", start="1970-01-01T00:00:00Z"),
            ward.segment(id="7", device_id=str(uuid4())),
            ward.segment(id="8", values=[]),
            ward.segment(id="9", values=["60"]),
            ward.segment(id="10", offsets=[0, 1, 2]),
            {"id": "11"},
            ward.segment(id="12", start=ago(days=800)),
            ward.segment(id="13", unit="{beats}/min", start=ago(hours=2)),
            ward.segment(),
        ],
    )

    assert verdicts(answer) == [
        ("new", None),
        ("quarantined", "unknown_code"),
        ("quarantined", "wrong_unit"),
        ("quarantined", "impossible_value"),
        ("quarantined", "future_time"),
        ("quarantined", "impossible_time"),
        ("rejected", "unknown_device"),
        ("quarantined", "malformed"),
        ("quarantined", "malformed"),
        ("quarantined", "malformed"),
        ("rejected", "malformed"),
        ("quarantined", "unassigned"),
        ("new", None),
        ("known", None),
    ]
    assert scalar("SELECT count(*) FROM vital_quarantine") == 9
    assert scalar("SELECT count(*) FROM vital_segment") == 2


def test_what_is_quarantined_is_kept_as_sent_and_once(ward: Ward) -> None:
    bad = ward.segment(values=[60, 600])
    for _ in range(2):
        assert verdicts(send(ward.gateway, [bad])) == [
            ("quarantined", "impossible_value")
        ]

    assert scalar("SELECT count(*) FROM vital_quarantine") == 1
    kept = orjson.loads(scalar("SELECT item FROM vital_quarantine"))[0]
    assert kept["values"] == [60, 600]
    assert kept["id"] == bad["id"]
    assert scalar("SELECT patient_id FROM vital_quarantine") == ward.rosa.patient_id
    assert scalar("SELECT device_id FROM vital_quarantine") == ward.watch.device_id


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308])
def test_what_is_no_number_of_a_body_is_quarantined(ward: Ward, value: float) -> None:
    word = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(
        str(value), "1e308"
    )
    body = orjson.dumps(
        {"segments": [ward.segment(values=[60, 1234])], "samples": []}
    ).replace(b"1234", word.encode())

    with transaction() as session:
        answer: Any = accept_vitals(session, read_items(body), by=ward.gateway, now=NOW)

    assert verdicts(answer) == [("quarantined", "impossible_value")]
    assert scalar("SELECT count(*) FROM vital_segment") == 0


def test_samples_belong_to_who_wore_the_device_then(ward: Ward) -> None:
    change = NOW - timedelta(minutes=1)
    with transaction() as session:
        hugo = a_patient(session, ward.clinic, given_name="Hugo")
        session.connection().execute(
            text("UPDATE assignment SET until = :at"), {"at": change}
        )
        an_assignment(session, ward.watch, hugo, since=change)

    device = {"device_id": str(ward.watch.device_id), "code": HEART, "unit": "/min"}
    answer = send(
        ward.gateway,
        [
            ward.segment(values=[60, 61]),
            ward.segment(id="b", values=[60] * 90),
            ward.segment(id="c", start=ago(seconds=30)),
        ],
        [
            device | {"at": ago(seconds=90), "value": 70},
            device | {"at": ago(seconds=10), "value": 80},
        ],
    )

    assert verdicts(answer) == [
        ("new", None),
        ("quarantined", "beyond_assignment"),
        ("new", None),
    ]
    assert answer["samples"]["new"] == 2
    assert samples_of(ward.rosa.patient_id) == {-120: 60, -119: 61, -90: 70}
    assert samples_of(hugo.patient_id) == {-30: 60, -29: 61, -28: 62, -10: 80}


def test_only_a_cloud_may_name_patients_and_only_its_own(ward: Ward) -> None:
    with transaction() as session:
        stranger = a_patient(session, a_clinic(session, name="Other"))
        other = Ward(session)
    mine = {"patient_id": str(ward.rosa.patient_id), "source": "acme"}
    segment = {k: v for k, v in ward.segment().items() if k != "device_id"} | mine

    assert verdicts(send(ward.gateway, [segment])) == [("rejected", "not_authorised")]
    foreign = segment | {"patient_id": str(stranger.patient_id)}
    assert verdicts(send(ward.cloud, [foreign])) == [("rejected", "not_authorised")]
    assert verdicts(send(other.gateway, [ward.segment()])) == [
        ("rejected", "unknown_device")
    ]
    both = ward.segment() | mine
    spoofed = segment | {"source": f"device:{ward.watch.device_id}"}
    assert (
        verdicts(send(ward.cloud, [both, spoofed])) == [("rejected", "malformed")] * 2
    )
    assert scalar("SELECT count(*) FROM vital_segment") == 0
    assert scalar("SELECT count(*) FROM vital_quarantine") == 0

    assert verdicts(send(ward.cloud, [segment])) == [("new", None)]


def test_an_erased_patient_gets_no_new_samples(ward: Ward) -> None:
    with transaction() as session:
        session.connection().execute(text("UPDATE patient SET erased_at = now()"))

    assert verdicts(send(ward.gateway, [ward.segment()])) == [
        ("rejected", "not_authorised")
    ]
    assert send(ward.cloud, samples=[ward.sample()])["samples"]["rejected"] == 1
    assert scalar("SELECT count(*) FROM vital_segment") == 0


def test_plain_samples_are_counted_and_known_by_their_instant(ward: Ward) -> None:
    samples = [ward.sample(at=ago(minutes=m), value=90 + m) for m in range(5)]
    bad = [
        ward.sample(value=400),
        ward.sample(at="2031-01-01T00:00:00Z"),
        ward.sample(code="nope"),
        ward.sample(patient_id=str(uuid4())),
        "no sample",
        ward.sample(value="97"),
    ]

    first = send(ward.cloud, samples=[*samples, samples[0] | {"value": 50}, *bad])
    second = send(ward.cloud, samples=samples)

    assert first["samples"] == {
        "new": 5,
        "known": 1,
        "quarantined": 4,
        "rejected": 2,
        "reasons": [
            {"index": 6, "reason": "impossible_value"},
            {"index": 7, "reason": "future_time"},
            {"index": 8, "reason": "unknown_code"},
            {"index": 9, "reason": "not_authorised"},
            {"index": 10, "reason": "malformed"},
            {"index": 11, "reason": "malformed"},
        ],
    }
    assert second["samples"] | {"reasons": []} == {
        "new": 0,
        "known": 5,
        "quarantined": 0,
        "rejected": 0,
        "reasons": [],
    }
    assert samples_of(ward.rosa.patient_id, "59408-5") == {
        -60.0 * m: 90 + m for m in range(5)
    }
    assert scalar("SELECT count(*) FROM vital_segment") == 1


def test_offsets_in_any_order_and_finer_than_a_millisecond(ward: Ward) -> None:
    segment = ward.segment(values=[60, 61, 62, 63], offsets=[2, 0, 1.0004, 1])
    del segment["step"]

    answer = send(ward.gateway, [segment])

    assert answer["segments"][0] | {"detail": None} == {
        "verdict": "new",
        "reason": None,
        "detail": None,
        "stored": 3,
        "known": 1,
    }
    assert samples_of(ward.rosa.patient_id) == {-120: 61, -119: 62, -118: 60}


AUDITED = "SELECT count(*) FROM audit_row WHERE action = 'vitals_received'"


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).isoformat()
