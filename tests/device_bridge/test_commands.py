"""The command line, settings and tokens."""

import json
from pathlib import Path

import pytest

from device_bridge.__main__ import main
from device_bridge.errors import BadSettings
from device_bridge.profiles import discovered
from device_bridge.settings import read_settings, read_token
from tests.device_bridge.fake_backend import TOKEN, serving
from tests.device_bridge.stories import a_plan, backend_for
from tests.device_bridge.test_gatt_golden import VECTORS


def test_decode_shows_what_octets_mean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "2A37", "0055"]) == 0
    assert json.loads(capsys.readouterr().out)["heart_rate"]["value"] == 85


@pytest.mark.parametrize(
    "arguments", [["2A19", "6400"], ["2A19", "zz"], ["2A99", "00"], []]
)
def test_decode_refuses_what_it_cannot_read(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decode", *arguments]) == 2
    assert capsys.readouterr().err


@pytest.mark.golden
@pytest.mark.skipif(
    not VECTORS.exists(), reason=f"no golden data at {VECTORS}: set DOSELOOP_GOLDEN"
)
def test_decode_runs_a_file_of_vectors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "--vectors", str(VECTORS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(json.loads(VECTORS.read_text()))


def test_a_plan_that_is_wrong_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("{}")
    where = ["--transport", "tcp-server:127.0.0.1:9", "--state", str(tmp_path)]
    assert main(["simulate", str(plan), *where]) == 2
    assert "missing clock, devices" in capsys.readouterr().err


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    settings = read_settings(
        {
            "DOSELOOP_BRIDGE_BACKEND": "https://example.org/",
            "DOSELOOP_BRIDGE_HCI": "tcp-client:127.0.0.1:9001",
            "DOSELOOP_BRIDGE_TOKEN_FILE": str(tmp_path / "token"),
        }
    )
    assert settings.backend == "https://example.org"
    assert settings.max_links == 100
    assert read_settings({}).max_links == 7
    with pytest.raises(BadSettings):
        read_token(settings)


@pytest.mark.parametrize(
    "wrong", [{"BACKEND": "example.org"}, {"MAX_LINKS": "0"}, {"MAX_LINKS": "many"}]
)
def test_wrong_settings_are_named(wrong: dict[str, str]) -> None:
    environment = {f"DOSELOOP_BRIDGE_{name}": value for name, value in wrong.items()}
    with pytest.raises(BadSettings, match=next(iter(environment))):
        read_settings(environment)


def test_pairing_keeps_the_token_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token.json"
    with serving(backend_for(a_plan([]))) as address:
        monkeypatch.setenv("DOSELOOP_BRIDGE_BACKEND", address)
        monkeypatch.setenv("DOSELOOP_BRIDGE_TOKEN_FILE", str(path))
        assert main(["pair", "ABCD-1234", "--name", "ward 3"]) == 0
    assert read_token(read_settings()).text == TOKEN
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["{", "{}", '{"token": "t", "expires_at": "soon"}'])
def test_a_token_file_that_makes_no_sense_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    settings = read_settings({"DOSELOOP_BRIDGE_TOKEN_FILE": str(path)})
    with pytest.raises(BadSettings, match="token"):
        read_token(settings)


@pytest.mark.parametrize("vectors", ["missing.json", "bad.json", "other.json", "."])
def test_vectors_that_cannot_be_read_are_refused_in_one_line(
    tmp_path: Path, vectors: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "other.json").write_text('[{"hex": "00"}]')
    assert main(["decode", "--vectors", str(tmp_path / vectors)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_unknown_log_level_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--log", "foo", "decode", "2A37", "0055"])
    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err


def test_every_profile_is_found() -> None:
    names = [profile.name for profile in discovered()]
    assert names == [
        "blood pressure monitor",
        "continuous glucose monitor",
        "glucose meter",
        "heart rate",
        "medication monitor over GHS",
        "pulse oximeter",
        "thermometer",
        "weight scale",
    ]
