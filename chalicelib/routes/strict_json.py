"""JSON as it is defined, and nothing that merely looks like it.

Python's parser takes NaN, repeated keys, lone surrogates and any depth. Each of them means
something else to the next reader, so each of them is refused here, before anybody reads.
"""

import json
import math
from typing import Any, Final

from chalicelib.domain.errors import BodyTooLarge, InvalidInput

MOST_BYTES: Final = 256 * 1024
_DEEPEST: Final = 32
_LONGEST_NUMBER: Final = 40


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value. Raises BodyTooLarge, or InvalidInput (code malformed_json)."""
    if len(body) > MOST_BYTES:
        msg = f"The body may be at most {MOST_BYTES // 1024} KiB."
        raise BodyTooLarge(msg)
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    except UnicodeDecodeError:
        raise _malformed("it is not UTF-8") from None
    except RecursionError:
        raise _malformed(f"it is nested more than {_DEEPEST} deep") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"see line {error.lineno}, column {error.colno}") from None
    _check(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise _malformed("an object names the same key twice")
    return unique


def _refuse_constant(_: str) -> float:
    raise _malformed("NaN and Infinity are not JSON")


def _parse_float(text: str) -> float:
    value = float(text)
    if len(text) > _LONGEST_NUMBER or not math.isfinite(value):
        raise _malformed("a number is out of range")
    return value


def _parse_int(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise _malformed("a number is out of range")
    return int(text)


def _check(value: object) -> None:
    """Refuse depth, and text that cannot be written as UTF-8 again or hides a terminator."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [child for each in level for child in _children(each)]
    if any(isinstance(each, list | dict) for each in level):
        raise _malformed(f"it is nested more than {_DEEPEST} deep")
    for each in level:
        _children(each)


def _children(value: object) -> list[object]:
    """Return what a container holds, having checked the text of a string."""
    if isinstance(value, str):
        _check_text(value)
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return []


def _check_text(text: str) -> None:
    # U+FFFD is a character like any other. A gateway that decodes the body may put it where the
    # client sent bytes that are not UTF-8; a client that sends such bytes gets U+FFFD back.
    if "\x00" in text:
        raise _malformed("a string holds a NUL (U+0000)")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _malformed("a string holds half of a surrogate pair")


def _malformed(reason: str) -> InvalidInput:
    return InvalidInput(f"The body is not valid JSON: {reason}.", code="malformed_json")
