"""What a refused request's answer says of each of its objects."""

from collections.abc import Sequence
from typing import Final

from chalicelib.domain.errors import LONGEST_ECHO, Fault

_NOT_AT_FAULT: Final = (
    "Nothing is wrong with this object. It was not applied because another object of the request "
    "was refused. Correct that one, and send the request again."
)


def results_of(
    manifests: Sequence[tuple[str, object]], faults: Sequence[Fault]
) -> tuple[dict[str, str | None], ...]:
    """Return kind, name and first error of each manifest, in order.

    A kind or name that is absent or no text is None.
    """
    return tuple(
        {"kind": _text(value, "kind"), "name": _name(value), "error": _first_error(at, faults)}
        for at, value in manifests
    )


def _first_error(at: str, faults: Sequence[Fault]) -> str:
    inside = f"{at}/"
    errors = (each.message for each in faults if each.path == at or each.path.startswith(inside))
    return next(errors, _NOT_AT_FAULT)


def _name(value: object) -> str | None:
    return _text(value.get("metadata"), "name") if isinstance(value, dict) else None


def _text(value: object, key: str) -> str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found[:LONGEST_ECHO] if isinstance(found, str) else None
