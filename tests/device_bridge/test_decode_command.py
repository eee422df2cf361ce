"""`python -m device_bridge decode`: what it shows and what it refuses, in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from device_bridge.__main__ import main
from device_bridge.characteristics import CHARACTERISTICS, named

WEIGHT = "00b436"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["decode", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["decode", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    return printed.err


@pytest.mark.parametrize(
    "name",
    [
        *("2A9D", "2a9d", "0x2A9D", "Weight Measurement", " weight measurement 0x2a9d"),
        *("00002a9d-0000-1000-8000-00805f9b34fb",),
        "00002A9D-0000-1000-8000-00805F9B34FB",
    ],
)
def test_a_characteristic_goes_by_every_name_it_has(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(capsys, name, WEIGHT)["weight"]["decimal"] == "70.020"
    assert shown(capsys, "--characteristic", name, WEIGHT)["weight"]["unit"] == "kg"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("c8a1bfd1-bc3f-493c-af8d-ae9824f583c6", "inpen"),
        ("InPen pen time c8a1bfd4 (proprietary)", "inpen-time"),
        ("IEEE-11073 SFLOAT (medfloat16)", "SFLOAT"),
        ("NovoPen IEEE 11073-20601 APDU (proprietary transport)", "novopen"),
        ("NFC Type 4 Tag command (NovoPen)", "t4"),
    ],
)
def test_what_has_no_adopted_number_goes_by_its_name(name: str, key: str) -> None:
    assert named(name).key == key


def test_no_two_characteristics_share_a_name() -> None:
    names = [name for one in CHARACTERISTICS for name in set(one.names())]

    assert len(names) == len(set(names))


def test_context_says_what_octets_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    request = ("2A52", "0103010a00")
    narrow = ("--context", "direction=client_to_server", "--context", "service=0x1808")
    wide = ("--context", '{"service": "0x1840"}', "--request")

    assert shown(capsys, *request, *narrow)["min"] == 10
    assert "octets of operand" in refused(capsys, *request, *wide)


def test_octets_may_stand_behind_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    message = "07000000" + "01" + "0800" + "0000" + "0002" + "010000ff"

    fields = shown(capsys, "2B8B", "--stored", "03" + message)

    assert (fields["record_number"], fields["value"]["value"]) == (7, 0.1)
    with pytest.raises(SystemExit):
        main(["decode", "2B8B", "--lost", "03" + message])


def test_several_octet_strings_are_notifications_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = "f5011500030001348200" + "22", "fa0010b3310000010060150f0000ff"

    fields = shown(capsys, "2B8B", first, second)

    assert (fields["segments"], fields["value"]["decimal"]) == (2, "1.5")
    assert "not one message" in refused(capsys, "2B8B", second, first)


def test_a_pen_read_at_a_known_time_dates_its_doses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The pen's clock is at 5000 s; one dose an hour before, one "after" a reset.
    doses = "000005780000000f0800000000001389ff00001408000000"
    block = "0010" + "00000000" + "00000002" + "c000" + "0018" + doses
    report = "0100" + "00001388" + "0d21" + "0026" + block
    octets = "e70000380036" + "8001" + "0101" + "0030" + report

    fields = shown(capsys, "novopen", octets, "--context", "read_at=2026-11-28T08:00Z")

    first, second = fields["doses"]
    assert first["time"] == {"value": 1400, "unit": "s"}
    assert (first["dose"]["value"], second["dose"]["decimal"]) == (15, "2.0")
    assert first["occurred_at"] == "2026-11-28T07:00:00Z"
    assert second["occurred_at"] is None
    assert "occurred_at" not in shown(capsys, "novopen", octets)["doses"][0]
    never = "9999-12-31T23:59-12:00"
    for wrong in "yesterday", "2026-11-28T08:00", "1999-01-01T00:00Z", never:
        told = refused(capsys, "novopen", octets, "--context", f"read_at={wrong}")
        assert "want a time like" in told


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "which characteristic"),
        (["2A9D"], "which octets"),
        (["2A99", "00"], "'2A99' is not known"),
        (["2A9D", "00b43"], "pairs of hexadecimal digits"),
        (["2A9D", "00b43g"], "pairs of hexadecimal digits"),
        (["2A9D", "00b4"], "weight measurement: want 2 octets"),
        (["2A9D", ""], "weight measurement: want 1 octets"),
        (["2A9D", WEIGHT, WEIGHT], "want one value"),
        (["2A9D", "--context", "stored", WEIGHT], "want KEY=VALUE"),
        (["2A9D", "--context", "{stored", WEIGHT], "want KEY=VALUE"),
        (["2A9D", "--file", "/nowhere"], "No such file"),
        (["--vectors", "/nowhere"], "No such file"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_2(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert why in refused(capsys, *arguments)


def test_a_file_has_one_value_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = tmp_path / "pen.txt"
    capture.write_text("# a pen says goodbye\n\ne400 0002 0000\nnothing\ne5000002\n")

    assert main(["decode", "novopen", "--file", str(capture)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [line["line"] for line in lines] == [3, 4, 5]
    assert lines[0]["decoded"] == {"apdu": "release_request"}
    assert "hexadecimal" in lines[1]["error"]
    assert "length 2 of 0" in lines[2]["error"]


@pytest.mark.parametrize(
    "bad",
    [
        *({"characteristic": "2A99", "hex": "00"}, {"characteristic": 7, "hex": "00"}),
        *({"characteristic": "2A9D"}, {"characteristic": "2A9D", "hex": 7}),
        {"characteristic": "2A9D", "hex": "0"},
        {"characteristic": "2A9D", "hex": ["00", 7]},
        {"characteristic": "2A9D", "hex": WEIGHT, "context": "stored"},
        {"characteristic": "2A52", "hex": "0103010a00", "context": {"service": []}},
        {"characteristic": "2A9D", "hex": "00b4"},
    ],
)
def test_a_bad_vector_does_not_end_the_run(
    bad: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"id": "good", "characteristic": "Weight Measurement 0x2A9D", "hex": WEIGHT}
    vectors = tmp_path / "vectors.json"
    vectors.write_text(json.dumps([{"id": "bad", **bad}, 7, good]))

    assert main(["decode", "--vectors", str(vectors)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [line["id"] for line in lines] == ["bad", None, "good"]
    assert lines[2]["decoded"]["weight"]["value"] == 70.02
    assert "error" in lines[1]


@pytest.mark.parametrize("text", ["{", "{}", "[7]", '[{"hex": "00"}]', "[" * 99999])
def test_a_file_that_holds_no_vectors_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)

    assert "other.json" in refused(capsys, "--vectors", str(path))


def test_a_file_that_is_no_text_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(b"\x89PNG\xff")

    assert "not a text file" in refused(capsys, "--vectors", str(path))
    assert "not a text file" in refused(capsys, "2A9D", "--file", str(path))
