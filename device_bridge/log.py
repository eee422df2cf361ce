"""What is logged: an event and its fields as a line of JSON, and nothing personal.

Events are meant to name devices by the backend's ids alone. What comes from libraries,
errors and devices may hold more, so addresses and octets are struck out of every line.
"""

import json
import logging
import re
from typing import Any

NOT_FIELDS = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
ADDRESS = re.compile(
    r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[:_]){5}[0-9A-Fa-f]{2}(?:/[PR])?"
)
OCTETS = re.compile(r"(?<![0-9A-Za-z-])(?:[0-9A-Fa-f]{2}){8,}(?![0-9A-Za-z-])")
WITHHELD = {"address", "serial", "octets", "raw", "token", "payload"}


def impersonal(text: str) -> str:
    """Return a text without Bluetooth addresses and without runs of octets."""
    return OCTETS.sub("[octets]", ADDRESS.sub("[address]", text))


class EventFormatter(logging.Formatter):
    """Writes an event and its fields as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields = {k: v for k, v in vars(record).items() if k not in NOT_FIELDS}
        line |= {k: v for k, v in fields.items() if k not in WITHHELD}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return impersonal(json.dumps(line, default=str))
