"""Logs: one JSON object a line, without personal data."""

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

import orjson

OURS = ("backend", "doseloop", "notifications", "uvicorn")
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


class JsonLines(logging.Formatter):
    """Formats an event as one line of JSON: message, level, logger, time, its fields.

    Of an exception only the type and the places are written: its text may quote data.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            name: value
            for name, value in record.__dict__.items()
            if name not in _PLAIN and not name.startswith("_")
        }
        event: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields,
        }
        if request_id := REQUEST_ID.get():
            event["request_id"] = request_id
        if record.exc_info and record.exc_info[0] is not None:
            event["error"] = record.exc_info[0].__name__
            event["places"] = _places(record)
        return orjson.dumps(event, default=str).decode()


def configure(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send events to standard error, or to `stream`: of ours from `level` on.

    Of libraries only warnings: at length they log addresses that they call, and those
    of providers hold numbers; a scheduler logs every tick.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def _places(record: logging.LogRecord) -> list[str]:
    places: list[str] = []
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-20:]


_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {
    "message",
    "asctime",
    "color_message",
    "taskName",
}
