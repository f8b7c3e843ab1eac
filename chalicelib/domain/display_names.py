"""What people may be called: in any script, but with nothing that cannot be seen."""

import unicodedata
from typing import Final

from chalicelib.domain.rules import Rule

_LONGEST_NAME: Final = 100
_JOINERS: Final = "\u200c\u200d"
# Letters and symbols by category that show nothing: Hangul fillers and the empty Braille cell.
_BLANK_LETTERS: Final = "\u115f\u1160\u2800\u3164\uffa0" + _JOINERS
# Unicode, section 23.7: never a character, whatever the version.
_NONCHARACTERS: Final = frozenset(map(chr, range(0xFDD0, 0xFDF0))) | {
    chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
}
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def _display_name_fault(value: str) -> str | None:
    if not 1 <= len(value) <= _LONGEST_NAME or not all(map(_printable, value)):
        return f"must be 1 to {_LONGEST_NAME} printable characters."
    if value != value.strip() or not any(map(_visible, value)):
        return "must not start or end with a space, nor be blank."
    return None


def _printable(char: str) -> bool:
    # Joiners are invisible, but names in Persian and family emoji are spelled with them.
    if char in _JOINERS:
        return True
    return unicodedata.category(char) not in _UNPRINTABLE and char not in _NONCHARACTERS


def _visible(char: str) -> bool:
    return char not in _BLANK_LETTERS and unicodedata.category(char)[0] in "CLNPS"


# No regular expression that JavaScript and Python both read says what is printable: the format's
# name stands for _display_name_fault.
DISPLAY_NAME: Final = Rule(
    _display_name_fault,
    {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAME, "format": "display-name"},
)
