"""Fuzz one decoder, guided by coverage: python -m tests.fuzz 2A37 --seconds 30"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris
from atheris.import_hook import instrument_imports

with instrument_imports(include=["device_bridge"]):
    from device_bridge.characteristics import CHARACTERISTICS, named

from tests.fuzz.inputs import is_sound, seeds, unpacked

LARGEST = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    keys = [characteristic.key for characteristic in CHARACTERISTICS]
    parser.add_argument("key", choices=keys)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--crashes", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    key = named(options.key).key

    def one_input(octets: bytes) -> None:
        seed = unpacked(key, octets)
        is_sound(seed.key, seed.values, seed.context)

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(s for s in seeds() if s.key == key):
            Path(corpus, f"seed-{number}").write_bytes(seed.packed())
        arguments = [
            sys.argv[0],
            corpus,
            f"-max_total_time={options.seconds}",
            f"-max_len={LARGEST}",
            f"-artifact_prefix={options.crashes}/{key}-",
            "-seed=20261128",
            "-print_final_stats=1",
        ]
        atheris.Setup(arguments, one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
