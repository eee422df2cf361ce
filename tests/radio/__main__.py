"""make test-radio: the bridge on the real BlueZ, in a virtual machine of its own.

Words on the command line are pytest's. TRACED=1 keeps BlueZ's debug log and all packets
(`btmon -r trace.snoop`), which costs the guest a good part of its time.
"""

import compileall
import os
import resource
import shlex
import sys
import time
from pathlib import Path

from tests.radio.machine import PROJECT, SOFTWARE, CannotRun, acceleration, prepare, run


def main() -> int:
    """Return 0 when all passed, or where the machine cannot run it: a line says why."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(home) / "doseloop-radio"
    try:
        kernel, initrd = prepare(cache)
    except CannotRun as why:
        print(f"radio: skipped: {why}")
        return 0
    processor = acceleration(kernel, initrd, cache)
    began = time.monotonic()
    for folder in ("device_bridge", "tests/device_bridge", "tests/radio"):
        compileall.compile_dir(PROJECT / folder, quiet=1)  # the guest writes none
    traced = os.environ.get("TRACED", "")
    script = (
        f"TRACED={traced} exec bash tests/radio/guest.sh {shlex.join(sys.argv[1:])}"
    )
    code = run(kernel, initrd, script, cache / "out", processor)
    log = cache / "out/tests.log"
    print(log.read_text() if log.exists() else "radio: the guest did not start")
    how = "emulated" if processor is SOFTWARE else "KVM"
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    took = f"{time.monotonic() - began:.0f} s, {cpu_s:.0f} CPU-s ({how})"
    ended = {0: "passed", None: "did not end"}.get(code, "failed")
    print(f"radio: {ended} in {took}, Linux {kernel.version}; logs: {cache / 'out'}")
    return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
