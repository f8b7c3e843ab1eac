"""How much of a list one answer holds: Lambda gives back 6 MB at most, and fails above that.

Source: "Lambda quotas", payload of a synchronous invocation.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, TypeVar

Item = TypeVar("Item", bound=Mapping[str, object])

# The rest of the 6 MB is for the headers.
MOST_BYTES: Final = 6 * 1024 * 1024 - 64 * 1024


def fitting(items: Sequence[Item]) -> Sequence[Item]:
    """Return as many of the first items as one answer holds, and at least one if there is any."""
    ends = accumulate(map(_size_of, items), initial=len('"[]"'))
    count = sum(end <= MOST_BYTES for end in ends) - 1
    return items[: max(1, count)]


def _size_of(item: Mapping[str, object]) -> int:
    """Return an item's bytes in the answer, with its comma, as the runtime counts them.

    The body is a string in the JSON that a function returns, so that it is escaped once more; and
    the runtime writes ASCII alone, in which a character may take twelve bytes.
    """
    body = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    return len(json.dumps(body)) - len('""') + len(",")
