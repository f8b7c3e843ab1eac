"""Kubernetes quantities, such as 500m and 64Mi, as exact numbers, so that limits can be compared.

The grammar is that of k8s.io/apimachinery/pkg/api/resource. What no machine can hold is refused
while it is still text: 1e999999999 is a short string and a very long number.
"""

import math
import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

_SPELLING: Final = re.compile(
    r"([+-]?(?:[0-9]{1,24}\.?[0-9]{0,24}|\.[0-9]{1,24}))"
    r"([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,4})?"
)
_LARGEST_EXPONENT: Final = 32
_KIBI: Final = 1024
_SUFFIXES: Final = {
    "": Fraction(1),
    **{suffix: Fraction(10) ** (3 * power) for power, suffix in enumerate("num", start=-3)},
    **{suffix: Fraction(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(_KIBI) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}

_SHOWN_IN: Final = {"cpu": "m", "memory": "Mi", "ephemeral-storage": "Mi"}


def parse_quantity(text: object) -> Fraction:
    """Return the quantity as a number of its base unit: cores, bytes.

    JSON may spell it as a string or as a number. It may be negative: whether that makes sense is
    the caller's to say. Raises ValueError for anything else.
    """
    if isinstance(text, str):
        return _parse(text)
    if isinstance(text, int | float) and not isinstance(text, bool):
        return _parse(str(text))
    msg = "A quantity is a string or a number."
    raise ValueError(msg)


def format_quantity(value: Fraction, resource: str) -> str:
    """Return an amount of cpu, memory or ephemeral-storage for a person, rounded up: 150m, 96Mi."""
    suffix = _SHOWN_IN[resource]
    if suffix == "Mi" and value % _SUFFIXES["Gi"] == 0:
        suffix = "Gi"
    return f"{math.ceil(value / _SUFFIXES[suffix])}{suffix}"


@lru_cache(maxsize=1024)
def _parse(text: str) -> Fraction:
    match = _SPELLING.fullmatch(text)
    if match is None:
        msg = "A quantity is a number with an optional suffix, such as 250m or 64Mi."
        raise ValueError(msg)
    suffix = match[2] or ""
    return Fraction(Decimal(match[1])) * (_SUFFIXES.get(suffix) or _power_of_ten(suffix))


def _power_of_ten(suffix: str) -> Fraction:
    exponent = int(suffix[1:])
    if abs(exponent) > _LARGEST_EXPONENT:
        msg = "A quantity's exponent is a whole number from -32 to 32."
        raise ValueError(msg)
    return Fraction(10) ** exponent
