"""What this table proves to be deleted, for the length of one reconcile run."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from chalicelib.domain.evidence import RemovedExposure
from chalicelib.domain.ingress_routes import route_name_of
from chalicelib.ports import Inventory


class Evidence:
    """Answers whether a thing of the API's may be deleted.

    The tombstones are read when the first orphan asks for them: a clean run does without. Whatever
    asks for them raises what that read raises.
    """

    def __init__(self, inventory: Inventory, removed: Sequence[RemovedExposure]) -> None:
        """Keep what was listed with the claims."""
        self._inventory = inventory
        self.removed = removed
        self._records = {(each.hostname, each.uid, each.exposure): each for each in removed}
        self._routes: dict[tuple[str, str], list[RemovedExposure]] = defaultdict(list)
        for each in removed:
            self._routes[each.uid, route_name_of(each.exposure)].append(each)

    @cached_property
    def _registrations(self) -> dict[str, dict[str, str]]:
        """When each registration that was deleted was made, by friend id and uid."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for each in self._inventory.tombstones():
            found[each.friend_id][each.uid] = each.created_at
        return dict(found)

    def is_deleted(self, friend_id: str, uid: str) -> bool:
        """Tell whether this registration of the friend was deleted."""
        return uid in self._registrations.get(friend_id, {})

    def registrations_of(self, friend_id: str) -> frozenset[str]:
        """Return when the deleted registrations of this id were made."""
        return frozenset(self._registrations.get(friend_id, {}).values())

    def is_record_removed(self, hostname: str, uid: str, exposure: str) -> bool:
        """Tell whether this exposure was removed from this host name."""
        return (hostname, uid, exposure) in self._records

    def is_route_removed(self, uid: str, route: str) -> bool:
        """Tell whether the exposure that had this route was removed."""
        return (uid, route) in self._routes

    def removals_of_record(
        self, hostname: str, uid: str, exposure: str
    ) -> Sequence[RemovedExposure]:
        """Return what says that this exposure was removed from this host name: one, or none."""
        found = self._records.get((hostname, uid, exposure))
        return [] if found is None else [found]

    def removals_of_route(self, uid: str, route: str) -> Sequence[RemovedExposure]:
        """Return what says that the exposure that had this route was removed."""
        return self._routes.get((uid, route), [])
