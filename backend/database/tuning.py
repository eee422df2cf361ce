"""What a new embedded server is told; an operator edits postgresql.conf."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

MEGABYTE = 1 << 20
SHARE = 16  # of the memory: others live on this machine, and the kernel caches too
LEAST, MOST = 128 * MEGABYTE, 2048 * MEGABYTE
LIMIT = Path("/sys/fs/cgroup/memory.max")

TUNING: Mapping[str, str] = {
    "max_connections": "100",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "synchronous_commit": "on",
    "random_page_cost": "1.1",
    "log_checkpoints": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    # Before a recovery everything is synced; one call a file takes many times longer.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
}


def tuning(limit: Path = LIMIT) -> Mapping[str, str]:
    """Return PostgreSQL's settings by name for a machine of this size.

    A sixteenth of the memory, or of what a container may use of it (`limit`, cgroup
    v2), is for pages: with 256 MB the indexes of a million queued messages do not fit,
    and a morning's reminders cost a tenth more. No `wal_compression`: the only method
    this build has (pglz) cost a fifth of the same morning, to save disk writes.
    """
    buffers = min(max(_memory(limit) // SHARE, LEAST), MOST)
    return {"shared_buffers": f"{buffers // MEGABYTE}MB", **TUNING}


def _memory(limit: Path) -> int:
    """Octets of memory that this process may use."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        allowed = limit.read_text().strip()
    except OSError:  # no container, or no Linux
        return whole
    return min(whole, int(allowed)) if allowed.isdigit() else whole
