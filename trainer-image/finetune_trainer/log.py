"""Calm, structured logs: one JSON object per line on stderr. The engine's own output passes through on stdout."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


class JsonFormatter(logging.Formatter):
    """`{"time", "level", "message", …fields}`; fields come from `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def setup() -> None:
    """Send the package's own logs to stderr; leave the root logger to the engines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("finetune_trainer")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """Structured fields for a log call: `logger.info("…", extra=fields(step=3))`."""
    return {"fields": values}
