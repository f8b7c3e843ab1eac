"""How long to stand back before a call to an upstream is repeated.

By the system's randomness, here and wherever else a moment is random: functions that wake from one
snapshot share the state of Python's own generator, and would all come back at the same moment.
"""

import random
from typing import Final

_FIRST_DELAY_SECONDS: Final = 0.1
_LONGEST_DELAY_SECONDS: Final = 2.0


def backoff_seconds(tries: int) -> float:
    """Return a random delay, its bound doubled with each try up to two seconds."""
    longest = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2**tries)
    return random.SystemRandom().uniform(_FIRST_DELAY_SECONDS / 2, longest)
