"""Settings from the environment and from a file, and the files that are shipped."""

import shutil
import subprocess
from pathlib import Path

import pytest

from device_bridge.errors import BadSettings
from device_bridge.settings import read_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "doseloop-bridge.service"
MOST_EXPOSED = 1.5  # of 10, as systemd reckons


def written(folder: Path, text: str) -> dict[str, str]:
    path = folder / "bridge.toml"
    path.write_text(text)
    return {"DOSELOOP_BRIDGE_CONFIG": str(path)}


def test_a_file_says_what_the_environment_does_not(tmp_path: Path) -> None:
    text = 'backend = "https://one"\nmax_links = 3\nmetrics_port = 9464\n'
    environment = written(tmp_path, text)

    found = read_settings(environment | {"DOSELOOP_BRIDGE_BACKEND": "https://two/"})

    assert found.backend == "https://two"
    assert (found.max_links, found.metrics_port) == (3, 9464)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("backend = [1]", "backend: want a text or a number"),
        ("tokens = 'x'", "unknown tokens"),
        ("token = 'x'", "unknown token"),  # secrets have a file of their own
        ("backend", "bridge.toml: "),
        ("metrics_port = 70000", "METRICS_PORT: want 1 to 65535"),
    ],
)
def test_a_wrong_file_is_said_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadSettings, match=why) as refused:
        read_settings(written(tmp_path, text))

    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(BadSettings, match="No such file"):
        read_settings({"DOSELOOP_BRIDGE_CONFIG": "/nowhere/bridge.toml"})


def test_the_file_that_is_shipped_can_be_read() -> None:
    found = read_settings({"DOSELOOP_BRIDGE_CONFIG": str(DEPLOY / "bridge.toml")})

    assert found.backend.startswith("https://")
    assert found.spool == Path("/var/lib/doseloop-bridge")


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"),
    reason="no systemd-analyze to rate the unit with: apt-get install systemd",
)
def test_the_unit_that_is_shipped_is_sound_and_little_exposed(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(
        UNIT.read_text().replace("/opt/doseloop/.venv/bin/python", "/bin/true")
    )
    threshold = f"--threshold={MOST_EXPOSED * 10:.0f}"

    for words in (["verify"], ["security", "--offline=true", threshold]):
        done = subprocess.run(
            ["systemd-analyze", *words, unit], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
