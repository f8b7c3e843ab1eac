"""Structured logs. Threat F05: what they must never hold."""

import json
import logging
from typing import Any

import pytest

from chalicelib.logs import JsonFormatter, configure_logging


def line_of(record: logging.LogRecord) -> Any:
    return json.loads(JsonFormatter().format(record))


def test_a_line_is_json_with_its_extra_fields() -> None:
    record = logging.makeLogRecord({"name": "chalicelib.x", "msg": "request", "status": 200})
    assert line_of(record)["message"] == "request"
    assert line_of(record)["status"] == 200


def test_f05_an_exception_is_its_types_and_places_without_its_message() -> None:
    with pytest.raises(RuntimeError) as raised:
        fail_twice()
    record = logging.makeLogRecord({"exc_info": (raised.type, raised.value, None)})
    text = JsonFormatter().format(record)
    assert "canary" not in text
    described = json.loads(text)["exception"]
    assert (described[0], "ValueError" in described) == ("RuntimeError", True)
    assert any("test_logs.py" in part for part in described)


def fail_twice() -> None:
    try:
        int("canary-inner")
    except ValueError as error:
        raise RuntimeError("canary-outer") from error


def test_f05_libraries_stay_quiet_at_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.NullHandler()
    root, own = logging.getLogger(), logging.getLogger("chalicelib")
    monkeypatch.setattr(root, "handlers", [handler])
    levels = root.level, own.level
    try:
        configure_logging("DEBUG")
        for library in ("botocore", "urllib3", "kubernetes", "chalice"):
            assert not logging.getLogger(library).isEnabledFor(logging.INFO)
        assert logging.getLogger("chalicelib.gateways").isEnabledFor(logging.DEBUG)
        assert isinstance(handler.formatter, JsonFormatter)
    finally:
        root.setLevel(levels[0])
        own.setLevel(levels[1])
