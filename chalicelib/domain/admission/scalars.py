"""Values without parts, and what a value of the wrong type plainly means: "3" is 3, 80 is "80"."""

import math
import re
from collections.abc import Callable
from typing import Final

from chalicelib.domain.admission.names import is_label_key
from chalicelib.domain.admission.quantities import parse_quantity
from chalicelib.domain.admission.reader import MISSING, Path, Reader
from chalicelib.domain.admission.report import joined

_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_LARGEST_SPELLED: Final = 1 << 63
_OCTAL: Final = re.compile(r"(?:0[oO])?[0-7]{1,7}")
ALL_PERMISSIONS: Final = 0o777
_FLAGS: Final = {"true": True, "false": False}


class Scalar:
    """A value without parts.

    expected completes the sentence "it must be ...". mend returns the value if it is one, else
    the one that it plainly means, or MISSING. Values of exactly the type scalar need no mending.
    choices are the words that it may be, where it is one of some.
    """

    def __init__(
        self,
        expected: str,
        mend: Callable[[object], object],
        scalar: type | None = None,
        choices: tuple[str, ...] = (),
    ) -> None:
        """Say what the value is."""
        self.scalar = scalar
        self.choices = choices
        self._expected = expected
        self._mend = mend

    def read(self, value: object, path: Path, reader: Reader) -> object:
        """Return the value, or what the fix makes of it."""
        mended = self._mend(value)
        if mended is MISSING:
            return reader.wrong_type(path, self._expected)
        if mended is not value and (type(mended) is not type(value) or mended != value):
            reader.replace(path, self._expected, mended)
        return mended


def words(*choices: str) -> Scalar:
    """Return the scalar that is one of these words."""
    by_lower = {word.lower(): word for word in choices}

    def mend(value: object) -> object:
        return by_lower.get(value.lower(), MISSING) if isinstance(value, str) else MISSING

    return Scalar(f"one of: {joined(choices)}", mend, choices=choices)


def _text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) < _LARGEST_SPELLED:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    return value if isinstance(value, str) else MISSING


def _flag(value: object) -> object:
    if isinstance(value, str):
        return _FLAGS.get(value.lower(), MISSING)
    return value if isinstance(value, bool) else MISSING


def _whole(bits: int) -> Callable[[object], object]:
    limit = 1 << (bits - 1)

    def mend(value: object) -> object:
        number = _as_whole(value)
        return number if number is not None and -limit <= number < limit else MISSING

    return mend


def _as_whole(value: object) -> int | None:
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mode(value: object) -> object:
    """Return the mode. A text is octal, as chmod reads it, and so is a number that is too large.

    A text that may be decimal too, and grants less so, is not mended: no fix widens a permission.
    """
    number = _as_whole(value)
    if number is None and not isinstance(value, str):
        return MISSING
    decimal = number if number is not None and 0 <= number <= ALL_PERMISSIONS else None
    if decimal is not None and not isinstance(value, str):
        return decimal
    text = value if isinstance(value, str) else str(number)
    if not _OCTAL.fullmatch(text):
        return MISSING if decimal is None or text.startswith("0") else decimal
    octal = int(text, 8)
    mode = octal & ALL_PERMISSIONS
    is_ambiguous = decimal is not None and not text.startswith("0") and mode & ~decimal
    return MISSING if is_ambiguous or (octal and not mode) else mode


def _number_or_text(value: object) -> object:
    return value if isinstance(value, str) else _whole(32)(value)


def _qualified(value: object) -> object:
    return value if isinstance(value, str) and is_label_key(value) else MISSING


def _quantity(value: object) -> object:
    try:
        parse_quantity(value)
    except ValueError:
        return MISSING
    return value


TEXT: Final = Scalar("a string", _text, str)
FLAG: Final = Scalar("true or false", _flag, bool)
INT32: Final = Scalar("a whole number of 32 bits", _whole(32))
INT64: Final = Scalar("a whole number of 64 bits", _whole(64))
MODE: Final = Scalar(
    f"a file's mode as a decimal number from 0 to {ALL_PERMISSIONS}: 0600 is 384, 0644 is 420",
    _mode,
)
NUMBER_OR_TEXT: Final = Scalar("a whole number of 32 bits or a string", _number_or_text)
QUALIFIED: Final = Scalar("a name, such as http or example.com/http", _qualified)
QUANTITY: Final = Scalar("a Kubernetes quantity, such as 250m or 64Mi", _quantity)
ANYTHING: Final = Scalar("anything", lambda value: value)
