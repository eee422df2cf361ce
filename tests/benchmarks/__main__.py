"""The headline numbers: every module here with a `run`, or those named."""

import sys
from importlib import import_module
from pkgutil import iter_modules

from rich.console import Console
from rich.table import Table

import tests.benchmarks

Row = tuple[str, str, str, bool]


def main(wanted: list[str]) -> int:
    """Print one line a figure and return 1 when a bound is missed."""
    rows: list[Row] = []
    for found in iter_modules(tests.benchmarks.__path__):
        if wanted and found.name not in wanted:
            continue
        module = import_module(f"tests.benchmarks.{found.name}")
        if hasattr(module, "run"):
            print(f"{found.name} ...", flush=True)
            rows += module.run()
    table = Table("what", "figure", "bound", "")
    for name, figure, bound, met in rows:
        verdict = ("met" if met else "MISSED") if bound else ""
        table.add_row(name, figure, bound, verdict)
    Console().print(table)
    return int(not all(met for *_, met in rows))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
