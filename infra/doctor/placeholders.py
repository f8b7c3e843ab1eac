"""Which texts are placeholders, and not secrets that happen to spell a word."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(
    r"(?<![a-z0-9])(changeme|change[-_ ]me|replace|replaceme|placeholder|todo|fixme|your|insert|"
    r"paste|example|dummy)(?![a-z0-9])",
    re.IGNORECASE,
)
_BRACKETS: Final = re.compile(r"<[^>]*>")
# One character sixteen times over.
_RUN: Final = re.compile(r"(.)\1{15}")
_SEPARATORS: Final = re.compile(r"[^A-Za-z0-9]+")
# Words and numbers; a random part of some length mixes letters with digits, or large with small.
_PLAIN: Final = re.compile(r"[A-Z]?[a-z]*|[A-Z]+|[0-9]+|.{1,3}")


def is_placeholder(text: str) -> bool:
    """Tell whether a person is to replace this: it says so in whole words, and is not random."""
    if _BRACKETS.fullmatch(text) or _RUN.search(text):
        return True
    if not _WORDS.search(text):
        return False
    return all(_PLAIN.fullmatch(part) for part in _SEPARATORS.split(text))
