"""How long to stand back before something is tried again.

By the system's randomness: functions that wake from one snapshot share the state of Python's own
generator, and would all come back at the same moment.
"""

import random


def backoff_seconds(
    tries: int, *, first_seconds: float = 0.1, longest_seconds: float = 2.0
) -> float:
    """Return a random delay: its bound is first_seconds, doubled with each try, up to the longest.

    It is never shorter than half of first_seconds.
    """
    longest = min(longest_seconds, first_seconds * 2**tries)
    return random.SystemRandom().uniform(first_seconds / 2, longest)
