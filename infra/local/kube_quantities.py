"""Kubernetes quantities, such as 500m and 64Mi, as exact numbers and in their canonical spelling.

Quota sums them, LimitRange compares them, and server-side apply must not take 1000m for a change
of 1, so the double needs the same arithmetic as the real thing.
"""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

_SPELLING: Final = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(m|u|n|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?"
)
_DECIMAL: Final = {
    "n": -9,
    "u": -6,
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
}
_KIBI: Final = 1024
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}

MALFORMED: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def parse_quantity(text: object) -> Fraction:
    """Return the quantity as a number of its base unit. Raises ValueError for anything else."""
    match = _SPELLING.fullmatch(str(text)) if isinstance(text, str | int | float) else None
    if match is None or isinstance(text, bool):
        raise ValueError(MALFORMED)
    number, suffix = Fraction(Decimal(match[1])), match[2] or ""
    if suffix in _BINARY:
        return number * _power(_KIBI, _BINARY[suffix])
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    return number * _power(10, exponent)


def canonical_quantity(text: object) -> str:
    """Return the spelling that the API server stores: the largest suffix that leaves a whole."""
    value = parse_quantity(text)
    return format_quantity(value, binary=str(text).endswith("i"))


def format_quantity(value: Fraction, *, binary: bool) -> str:
    """Return the canonical spelling of a number, in powers of 1024 or of 1000."""
    if value == 0:
        return "0"
    if binary and value.denominator == 1 and abs(value) >= _KIBI:
        units = {suffix: _power(_KIBI, power) for suffix, power in _BINARY.items()}
        return _largest(value, units | {"": Fraction(1)})
    return _largest(value, {suffix: _power(10, power) for suffix, power in _DECIMAL.items()})


def _power(base: int, exponent: int) -> Fraction:
    return Fraction(base**exponent) if exponent >= 0 else Fraction(1, base**-exponent)


def _largest(value: Fraction, units: dict[str, Fraction]) -> str:
    for suffix, unit in sorted(units.items(), key=lambda item: item[1], reverse=True):
        if (value / unit).denominator == 1:
            return f"{value / unit}{suffix}"
    # Finer than the finest unit: rounded up, as the API server does.
    return f"{-(-value // units['n'])}n"
