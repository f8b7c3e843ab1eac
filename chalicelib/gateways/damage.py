"""Rows that no request could have written: a hand did, or a release that nobody should have made.

Whoever reads many leaves them out and says which; whoever needs that very one is refused.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.domain.model import DamagedRow
from chalicelib.gateways.table import Item

T = TypeVar("T")

EXPOSURE_PREFIX: Final = "EXPOSURE#"
DAMAGED_ROW: Final = "damaged_row"
# What reading raises when an attribute is missing, or is something else than was written.
DAMAGE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

_log = logging.getLogger(__name__)


def sound_in(
    read: Callable[[Item], T], rows: Iterable[Item], damaged: list[DamagedRow] | None = None
) -> Iterator[T]:
    """Yield what the rows say; the damaged ones are left out, and added to the list of them."""
    for row in rows:
        try:
            found = read(row)
        except DAMAGE:
            described = _describe(row)
            if damaged is not None:
                damaged.append(described)
            continue
        yield found


def read_row(read: Callable[[Item], T], row: Item) -> T:
    """Return what the row says. Raises UpstreamFailed (damaged_row)."""
    try:
        return read(row)
    except DAMAGE as error:
        raise UpstreamFailed(_describe(row).message, code=DAMAGED_ROW) from error


def _describe(row: Item) -> DamagedRow:
    pk, sk = str(row["pk"]), str(row.get("sk", ""))
    kind, _, name = pk.partition("#")
    owner = name if kind in {"FRIEND", "OPERATIONS"} else row.get("friend_id")
    exposure = sk.removeprefix(EXPOSURE_PREFIX) if sk.startswith(EXPOSURE_PREFIX) else None
    _log.error("damaged row", extra={"pk": pk, "sk": sk})
    key = ", ".join(filter(None, (pk, sk)))
    return DamagedRow(owner if isinstance(owner, str) else None, key, exposure)
