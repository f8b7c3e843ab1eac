"""What becomes of the DNS records of one host name: found x wanted -> changes, purely.

found                                             change
-----------------------------------------------   ------------------------------------------
nothing                                           create
one of ours that says what is wanted              none
one of ours that says something else              update, by id
one of ours of another type                       delete it and create: a type does not change
several of ours (a race; Cloudflare allows it)    keep the known one, or the smallest id; delete
                                                  the others
somebody's address, alias or delegation           foreign: no change at all
anything of somebody's, where a CNAME is wanted   foreign: a CNAME stands alone
the known one, without our comment                foreign: it has changed hands
somebody's TXT, CAA or MX, beside an address      none: they have nothing to do with each other

Ours is what has the owner's comment. A record that is not ours is never changed nor deleted.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.dns import Domain, Record, RecordSpec, owner_of
from chalicelib.domain.exposures import require_valid
from chalicelib.domain.model import Exposure

_ALIAS: Final = "CNAME"
_BESIDE_ADDRESSES: Final = frozenset({"TXT", "CAA", "MX"})


@dataclass(frozen=True)
class RecordPlan:
    """What has to happen to the records of one host name; deletions first.

    kept is the record that stays, as it was found. With foreign records nothing else is planned.
    """

    create: RecordSpec | None = None
    update: Record | None = None
    delete: tuple[str, ...] = ()
    foreign: tuple[Record, ...] = ()
    kept: Record | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the zone holds exactly what is wanted."""
        return self.kept is not None and self.update is None and not self.delete

    def is_settled_as(self, record_id: str | None) -> bool:
        """Tell whether, besides, the record that stays is the one with this id."""
        return self.is_settled and self.kept is not None and self.kept.id == record_id


def build_record(exposure: Exposure, domain: Domain) -> RecordSpec:
    """Return the record that an exposure wants: an alias, or an address, of the domain's target.

    Raises ValueError for an exposure on another domain, or that no request could have made.
    """
    require_valid(exposure)
    if exposure.domain != domain.name:
        msg = "The recorded exposure is on another domain, so no record is made from it."
        raise ValueError(msg)
    return RecordSpec(
        name=exposure.hostname,
        type=_type_of(domain.target),
        content=domain.target,
        proxied=domain.proxied,
        comment=owner_of(exposure.uid, exposure.name),
    )


def plan_record(found: Sequence[Record], wanted: RecordSpec, known_id: str | None) -> RecordPlan:
    """Return what has to happen, given all records of the wanted one's host name.

    known_id is the id that was noted when our record was last seen.
    """
    ours = {each.id: each for each in found if each.is_owned_by(wanted.comment)}
    others = [each for each in found if each.id not in ours]
    if foreign := tuple(each for each in others if _obstructs(each, wanted, known_id)):
        return RecordPlan(foreign=foreign)
    fitting = {record_id for record_id, each in ours.items() if each.spec.type == wanted.type}
    if not fitting:
        return RecordPlan(create=wanted, delete=tuple(sorted(ours)))
    kept = ours.pop(known_id if known_id in fitting else min(fitting))
    update = None if kept.spec == wanted else Record(kept.id, wanted)
    return RecordPlan(update=update, delete=tuple(sorted(ours)), kept=kept)


def plan_removal(found: Sequence[Record], owner: str, hostname: str) -> tuple[Record, ...]:
    """Return the owner's records of the host name: what a removal deletes.

    Also those that the wrong zone has put its own name behind. The noted id plays no part: a record
    with that id and another comment has changed hands.
    """
    return tuple(
        each
        for each in found
        if each.is_owned_by(owner)
        and (each.spec.name == hostname or each.spec.name.startswith(f"{hostname}."))
    )


def _obstructs(record: Record, wanted: RecordSpec, known_id: str | None) -> bool:
    may_stay = wanted.type != _ALIAS and record.spec.type in _BESIDE_ADDRESSES
    return record.id == known_id or not may_stay


def _type_of(target: str) -> str:
    try:
        return "A" if ipaddress.ip_address(target).version == 4 else "AAAA"  # noqa: PLR2004 - IPv4
    except ValueError:
        return _ALIAS
