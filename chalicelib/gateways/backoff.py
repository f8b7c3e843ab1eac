"""How long to stand back before a call to an upstream is repeated."""

import random
from typing import Final

_FIRST_DELAY_SECONDS: Final = 0.1
_LONGEST_DELAY_SECONDS: Final = 2.0


def backoff_seconds(tries: int) -> float:
    """Return a random delay, its bound doubled with each try up to two seconds."""
    longest = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2**tries)
    return random.uniform(_FIRST_DELAY_SECONDS / 2, longest)  # noqa: S311 - jitter, no secret
