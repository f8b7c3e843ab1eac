"""Cloudflare's request budget, counted in the table: one for every instance of every function.

pk                    sk                      what
COUNTER#cloudflare    2026-11-28T17:36:00Z    sent: the requests of that minute; expires an hour on

Cloudflare takes 1,200 requests of a user in any 300 s, then none for 300 s (developers.cloudflare
.com, Fundamentals, API reference, "Rate limits"). Any 300 s touch six fixed minutes; seven, where a
request arrives a moment after it was counted, or a clock is off: 7 x 170 = 1,190. A count whose
answer was lost is made again, and a request that was counted may never be sent: too many are
counted, never too few. Where the table cannot count, nothing is sent.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from chalicelib.gateways.cloudflare_errors import rate_limited
from chalicelib.gateways.table import ConditionFailed, Table

COUNTER: Final = "COUNTER#cloudflare"
WINDOW_SECONDS: Final = 60
REQUESTS_PER_WINDOW: Final = 170
_KEPT_SECONDS: Final = 3600


class Purpose(Enum):
    """What a request to Cloudflare is for; the value is how full its minute may be before it.

    Half is out of the reach of reads, and what is last is left to what must not wait: a deletion,
    and reconcile.
    """

    READ = REQUESTS_PER_WINDOW // 2
    WRITE = 140
    RECONCILE = REQUESTS_PER_WINDOW


class RequestBudget:
    """Counts requests before they are sent."""

    def __init__(self, table: Table, now: Callable[[], datetime]) -> None:
        """Keep the table; nothing is called yet."""
        self._table = table
        self._now = now

    def take(self, purpose: Purpose) -> None:
        """Count one request.

        Raises UpstreamUnreachable (dns_rate_limited) where this minute has no room for it, and what
        the table's calls raise. Not safe to repeat: each call counts.
        """
        now = self._now().timestamp()
        start = int(now) // WINDOW_SECONDS * WINDOW_SECONDS
        count = self._table.update_action(
            COUNTER,
            datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            when="attribute_not_exists(sent) OR sent < :most",
            values={":most": purpose.value, ":none": 0, ":one": 1},
            sets={"expires_at": start + _KEPT_SECONDS},
            also="sent = if_not_exists(sent, :none) + :one",
        )
        try:
            self._table.update(count)
        except ConditionFailed as error:
            raise rate_limited(math.ceil(start + WINDOW_SECONDS - now)) from error
