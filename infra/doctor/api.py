"""The API itself, from outside: awake, and closed to whoever brings no token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import requests

from infra.doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS: Final = 30
_EXPECTED: Final = {"/api/health": 200, "/api/friends": 401}
_FIX: Final = "look in the log group /friends-api/<stack>/api, or deploy again."


def check_api(url: str) -> Iterator[Finding]:
    """Yield what became of two requests without a token."""
    for path, expected in _EXPECTED.items():
        subject = f"GET {url}{path}"
        try:
            status = requests.get(f"{url}{path}", timeout=_SECONDS).status_code
        except requests.RequestException as error:
            yield Finding(subject, f"No answer ({type(error).__name__}).", _FIX)
            continue
        if status == expected:
            yield Finding(f"{subject}: {status}")
        else:
            yield Finding(subject, f"It answers {status}, not {expected}.", _FIX)
