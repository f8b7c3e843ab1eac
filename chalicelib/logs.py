"""Structured logs: one JSON object a line, and nothing in it that could be a secret.

An exception is logged as its types and the places it passed through, never as its message:
clients of other services like to quote headers and bodies in theirs.
"""

import json
import logging
import os
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request at hand: every line that is logged while it is set carries it."""

METRICS_NAMESPACE: Final = "FriendsApi"
_metrics = logging.getLogger("chalicelib.metrics")
_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_MOST_FRAMES: Final = 20


class JsonFormatter(logging.Formatter):
    """Formats a record and its extra fields as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _describe(record.exc_info[1])
        return json.dumps(line, default=str)


def measure(of: Mapping[str, str] = MappingProxyType({}), /, **values: int) -> None:
    """Log metrics in CloudWatch's embedded format, which makes metrics of lines without a call.

    Names end in their unit where that is not a count. The dimension is the function, so that the
    stages of one account do not mix; with of, also the function and what is named there, of which
    there are few. Source: "Embedded metric format" in the CloudWatch docs.
    """
    metrics = [
        {"Name": name, "Unit": "Seconds" if name.endswith("Seconds") else "Count"}
        for name in values
    ]
    dimensions = [["Function"], *([["Function", *of]] if of else [])]
    embedded = {
        "Timestamp": int(datetime.now(UTC).timestamp() * 1000),
        "CloudWatchMetrics": [
            {"Namespace": METRICS_NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}
        ],
    }
    function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
    _metrics.info("metrics", extra={"_aws": embedded, "Function": function, **of, **values})


def configure_logging(level: str) -> None:
    """Send our own logs to the handler that Lambda provides, as JSON. Safe to repeat.

    The libraries' logs stay at WARNING: at DEBUG they print requests, tokens included.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
    for handler in root.handlers:
        handler.setFormatter(JsonFormatter())
    root.setLevel(logging.WARNING)
    logging.getLogger("chalicelib").setLevel(level)
    # Alarms watch these, however quiet the rest is.
    _metrics.setLevel(logging.INFO)


def _describe(error: BaseException) -> list[str]:
    described: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(described) < _MOST_FRAMES:
        described.append(type(cause).__qualname__)
        frames = traceback.extract_tb(cause.__traceback__)[-_MOST_FRAMES:]
        described += [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        cause = cause.__cause__ or cause.__context__
    return described
