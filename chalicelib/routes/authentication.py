"""Bearer tokens on the wire: one header, one spelling, and the same refusal for every fault."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from chalicelib.domain.errors import Unauthenticated
from chalicelib.domain.model import Principal
from chalicelib.domain.tokens import PRESENTABLE, find_token
from chalicelib.ports import TokenSource

# A revoked token is refused, and an expired one forgotten, within this time.
_RECORDS_SECONDS: Final = 60
# An unknown token may be a new one; looking again is limited, or guessing would cost us calls.
_SECOND_LOOK_SECONDS: Final = 5
_BEARER: Final = re.compile(f"Bearer ({PRESENTABLE.pattern})")


def authenticate(
    authorization: Sequence[str], tokens: TokenSource, now: Callable[[], datetime]
) -> Principal:
    """Return whose token the Authorization headers carry. Raises Unauthenticated."""
    match = _BEARER.fullmatch(authorization[0]) if len(authorization) == 1 else None
    if match is None:
        msg = "Send one header, Authorization: Bearer <token>, with a token as it was minted."
        raise Unauthenticated(msg)
    for seconds in (_RECORDS_SECONDS, _SECOND_LOOK_SECONDS):
        records = tokens.records(fresher_than_seconds=seconds)
        principal = find_token(records, match[1], now())
        if principal is not None:
            return principal
    msg = "This token is unknown, revoked or expired. Ask an admin for a new one."
    raise Unauthenticated(msg)
