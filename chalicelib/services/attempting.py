"""One step of many: what keeps it from being taken is found, and the others are taken."""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from chalicelib.domain.errors import ApiError
from chalicelib.domain.ownership import NAMESPACE_NOT_OURS
from chalicelib.domain.reconciliation import Finding, Findings
from chalicelib.ports import StaleVersion
from chalicelib.services.publishing import RECORD_NOT_OURS, ROUTE_NOT_OURS

T = TypeVar("T")

_FOREIGN: Final = frozenset({NAMESPACE_NOT_OURS, RECORD_NOT_OURS, ROUTE_NOT_OURS})
# What a request is at work on is no drift.
_BUSY: Final = frozenset({"exposure_busy", "exposure_not_found"})

_log = logging.getLogger(__name__)


def attempt(
    findings: Findings, step: Callable[[], T], *, of: str | None = None, what: str = ""
) -> T | None:
    """Take a step and return its result; None, and a finding, when it raises.

    of is the friend whom it is about, and what names the system, where a whole one is.
    """
    lead = f"{what}: " if what else ""
    try:
        return step()
    except ApiError as error:
        if error.code not in _BUSY:
            found = Finding(of, lead + error.message, error.code)
            (findings.refused if error.code in _FOREIGN else findings.failed).append(found)
    except StaleVersion:
        findings.failed.append(Finding(of, "The friend was changed meanwhile.", "busy"))
    except Exception:  # noqa: BLE001 - a bug that one meets must not stop the rest
        _log.exception("unexpected error", extra={"friend": of, "what": what})
        message = f"{lead}Something went wrong inside the API. Its log has a traceback."
        findings.failed.append(Finding(of, message, "internal_error"))
    return None
