"""What an amount in the wrong unit means: 256 or 200m of memory, 500Mi of a processor.

Kubernetes takes each of them for what it says, and no container starts with 256 bytes.
"""

from fractions import Fraction
from typing import Final

from chalicelib.domain.admission.quantities import parse_quantity

MEBI: Final = parse_quantity("1Mi")
_GIBI: Final = parse_quantity("1Gi")
_MILLI: Final = parse_quantity("1m")
# No friend may have ten processors, and no container starts with less than four mebibytes.
_FEWEST_MILLICORES: Final = 10
_FEWEST_MEBIBYTES: Final = 4
# From here on, a number without a unit does count bytes.
_FEWEST_BYTES: Final = 65_536


def read_cpu(given: object) -> Fraction:
    """Return the cores that a positive quantity of cpu plainly means."""
    value, number, suffix = _split(given)
    in_milli = number * _MILLI
    if suffix in {"n", "u"} or suffix[:1] in {*"kKMGTPE"}:
        return in_milli
    return in_milli if not suffix and number >= _FEWEST_MILLICORES else value


def read_bytes(given: object) -> Fraction:
    """Return the bytes that a positive quantity of memory or storage plainly means."""
    value, number, suffix = _split(given)
    if suffix in {"n", "u", "m", "k", "Ki"} and value < MEBI:
        return number * MEBI
    if suffix or number >= _FEWEST_BYTES:
        return value
    return number * (MEBI if number >= _FEWEST_MEBIBYTES else _GIBI)


def _split(given: object) -> tuple[Fraction, Fraction, str]:
    """Return a quantity's value, and the number and unit that spell it; an exponent is no unit."""
    text, value = str(given), parse_quantity(given)
    digits = text.rstrip("numkKMGTPEi")
    suffix = text[len(digits) :]
    return value, parse_quantity(digits), suffix
