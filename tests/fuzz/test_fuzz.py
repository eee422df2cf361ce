"""Every decoder against coverage-guided fuzzing, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.inputs import KEYS, seeds, unpacked

PROJECT = Path(__file__).parents[2]
SECONDS = 30


@pytest.mark.parametrize("key", KEYS)
def test_every_seed_is_an_input_of_its_fuzzer(key: str) -> None:
    own = [seed for seed in seeds() if seed.key == key]

    assert own
    assert [unpacked(key, seed.packed()) for seed in own] == own


@pytest.mark.soak
@pytest.mark.parametrize("key", KEYS)
def test_a_decoder_gives_a_value_or_a_malformed_record(
    key: str, tmp_path: Path
) -> None:
    pytest.importorskip("atheris", reason="no wheel of atheris for this platform")
    command = [sys.executable, "-m", "tests.fuzz", key]
    fuzzed = subprocess.run(
        [*command, "--seconds", str(SECONDS), "--crashes", str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        check=False,
        text=True,
    )
    crashes = {path.name: path.read_bytes().hex() for path in tmp_path.iterdir()}

    assert fuzzed.returncode == 0, f"{crashes}\n{fuzzed.stderr[-4000:]}"
