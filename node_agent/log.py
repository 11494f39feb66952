"""The agent's log: one line per event on stderr, as text for people or JSON for machines."""

import json
import logging
import sys
from datetime import UTC, datetime

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""Attributes that every record has; all others were given by `extra=` and are fields of the event."""


class TextFormatter(logging.Formatter):
    """`12:00:01.123 INFO stage loaded deployment=d stage=0`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback where there is one."""
        time = _time_of(record).strftime("%H:%M:%S.%f")[:-3]
        fields = "".join(f" {name}={value}" for name, value in _fields_of(record).items())
        line = f"{time} {record.levelname} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per event."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback is the field `traceback`."""
        event = {
            "time": _time_of(record).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        } | _fields_of(record)
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)


def _time_of(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields_of(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


def configure_log(form: str, level: str) -> None:
    """Sends the log of this process to stderr.

    Args:
        form: `text` or `json`.
        level: A level's name, such as `INFO`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
