"""How much of one instance a caller may have: a bucket of requests for each, refilled by time.

Each instance of the function keeps its own buckets: a shared count would cost a write for every
request. API Gateway bounds all callers together (docs/decisions/0031).
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv6Address
from typing import Final

from chalicelib.domain.errors import TooManyRequests

_BURST_SECONDS: Final = 10
# What is forgotten first is what was asked for longest ago, and so is full again or nearly.
_MOST_BUCKETS: Final = 4096


_HOST_GROUPS: Final = 4


def network_of(address: str) -> str:
    """Return what one caller has of addresses: an IPv4 address, or a /64 of IPv6."""
    if ":" not in address:
        return address
    try:
        groups = IPv6Address(address).exploded.split(":")
    except ValueError:
        return address
    return ":".join(groups[:_HOST_GROUPS])


class Throttle:
    """Buckets by key. Each holds ten seconds' requests, and begins full. For any thread."""

    def __init__(self, per_second: float, now: Callable[[], datetime]) -> None:
        """Let each key have so many requests a second; no key has asked yet."""
        self._per_second = per_second
        self._now = now
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Count a request. Raises TooManyRequests (code throttled) when the bucket is empty."""
        most = self._per_second * _BURST_SECONDS
        moment = self._now().timestamp()
        with self._lock:
            held, since = self._buckets.pop(key, (most, moment))
            # A clock that was set back gives nothing and takes nothing.
            held = min(most, held + max(0.0, moment - since) * self._per_second)
            is_allowed = held >= 1
            self._buckets[key] = (held - is_allowed, moment)
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        if not is_allowed:
            seconds = math.ceil((1 - held) / self._per_second)
            msg = f"That is too many requests. Wait {seconds} s, then send fewer at a time."
            raise TooManyRequests(msg, code="throttled", retry_after_seconds=seconds)
