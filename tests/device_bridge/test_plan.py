"""Plans are read whole or refused with the place that is wrong; devices play them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device_bridge.errors import BadPlan
from device_bridge.profiles.medication_monitor_ghs import decode
from device_bridge.virtual.memory import Memory
from device_bridge.virtual.plan import load_plan, read_plan
from device_bridge.virtual.recorder import Recorder, battery_at
from tests.device_bridge.stories import a_device, a_plan, an_event, now, past

START = now()


def a_recorder(folder: Path, device: dict[str, Any], minutes: float = 0.0) -> Recorder:
    plan = read_plan(a_plan([device], start=START))
    memory = Memory(folder / "devices.sqlite")
    later = START + timedelta(minutes=minutes)
    return Recorder(plan.devices[0], memory, plan.clock, lambda: later)


GONE = object()
DEVICE, EVENT = ["devices", 0], ["devices", 0, "events", 0]


def broken(path: list[str | int], key: str, value: object) -> dict[str, Any]:
    event = an_event(START, "dispensed", amount=1)
    plan = a_plan(
        [a_device("B1", [event]), a_device("W1", [], kind="wearable")], start=START
    )
    place: Any = plan
    for step in path:
        place = place[step]
    if value is GONE:
        del place[key]
    else:
        place[key] = value
    return plan


@pytest.mark.parametrize(
    ("path", "key", "value", "where"),
    [
        ([], "clock", GONE, "plan: missing clock"),
        (["clock"], "speed", 0, "plan.clock.speed"),
        (["clock"], "anchor_real", "2030-01-01T00:00:00", "plan.clock.anchor_real"),
        (DEVICE, "kind", "fridge", "plan.devices[0].kind"),
        (DEVICE, "kind", "injector", "plan.devices[0].events[0]"),
        (DEVICE, "colour", "red", "plan.devices[0]: unknown colour"),
        (DEVICE, "serial", "", "plan.devices[0].serial"),
        (DEVICE, "serial", "W1", "plan.devices: serial W1"),
        (DEVICE, "out_of_range", [["2030-01-01T00:00:00Z"]], "out_of_range[0]"),
        (["devices", 1], "heart_rate", None, "plan.devices[1]"),
        (EVENT, "amount", -1, "plan.devices[0].events[0]"),
        (EVENT, "amount", "x", "plan.devices[0].events[0].amount"),
        (EVENT, "unit", "pills", "plan.devices[0].events[0].unit"),
        (EVENT, "what", "eaten", "plan.devices[0].events[0].what"),
        (EVENT, "at", 5, "plan.devices[0].events[0].at"),
        (EVENT, "compartment", 300, "plan.devices[0].events[0].compartment"),
    ],
)
def test_a_bad_plan_is_refused_with_its_place(
    path: list[str | int], key: str, value: object, where: str
) -> None:
    with pytest.raises(BadPlan) as refused:
        read_plan(broken(path, key, value))
    assert where in str(refused.value)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(BadPlan):
        load_plan(tmp_path / "plan.json")


def test_events_are_recorded_once_also_over_a_restart(tmp_path: Path) -> None:
    device = a_device("B1", [*past(5, START), an_event(START + timedelta(minutes=3))])
    first = a_recorder(tmp_path, device)
    assert len(first.play(first.now)) == 5
    again = a_recorder(tmp_path, device, minutes=5)
    assert [record.number for record in again.play(again.now)] == [6]
    assert again.play(again.now) == []
    assert again.memory.bounds("B1") == (1, 6, 6)


def test_numbers_are_not_used_again_after_deletion(tmp_path: Path) -> None:
    device = a_device("B1", [*past(3, START), an_event(START + timedelta(minutes=3))])
    first = a_recorder(tmp_path, device)
    first.play(first.now)
    first.memory.delete("B1", 1, 3)
    again = a_recorder(tmp_path, device, minutes=5)
    assert [record.number for record in again.play(again.now)] == [4]


def test_setting_the_clock_by_more_than_two_seconds_opens_a_timeline(
    tmp_path: Path,
) -> None:
    recorder = a_recorder(tmp_path, a_device("B1", past(1, START), clock_offset_s=600))
    (before,) = recorder.play(recorder.now)
    assert decode(recorder.message(before)).time is not None
    record = recorder.set_clock(recorder.now)
    assert record is not None
    assert (record.number, record.epoch) == (2, 1)
    old, new = decode(recorder.message(before)), decode(recorder.message(record))
    assert old.time is not None
    assert new.time is not None
    assert (old.time.current_timeline, new.time.current_timeline) == (False, True)
    assert recorder.set_clock(recorder.now + timedelta(seconds=1)) is None


def test_a_battery_falls_along_its_curve() -> None:
    later = START + timedelta(days=10)
    curve = [[START.isoformat(), 100], [later.isoformat(), 50]]
    plan = read_plan(a_plan([a_device("B1", [], battery=curve)], start=START))
    middle = START + timedelta(days=5)
    assert battery_at(plan.devices[0], middle) == 75
    assert battery_at(plan.devices[0], later + timedelta(days=9)) == 50
