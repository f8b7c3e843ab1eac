"""A whole cluster, seen by a few paged lists and compared with what is recorded, page by page.

Of each page nothing is kept but what differs, so that memory does not grow with the cluster. What
differs is only a hint: whoever acts on it loads the friend and looks at the object again. An item
that cannot be understood counts as nothing, and keeps none of the others from being seen.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.ingress_routes import build_ingress_route, route_name
from chalicelib.domain.kinds import Kind
from chalicelib.domain.model import FriendRecord, JsonObject, Phase, friend_in
from chalicelib.domain.namespace import (
    FRIEND_LABEL,
    MANAGED_BY_LABEL,
    MANAGER,
    NAMESPACE_KINDS,
    UID_LABEL,
    ClusterLayout,
    build_namespace_object,
)
from chalicelib.domain.ownership import is_of
from chalicelib.domain.plan import contains
from chalicelib.ports import Cluster
from chalicelib.services.concurrency import each_of

_OURS: Final = f"{MANAGED_BY_LABEL}={MANAGER}"
# What a list's items leave out.
_ON_THE_LIST: Final = ("apiVersion", "kind")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stray:
    """A namespace or a route of ours, by its labels, that nothing recorded wants."""

    friend_id: str
    uid: str
    route: str | None = None


@dataclass
class ClusterView:
    """What a cluster's lists have shown.

    namespaces and routes are how many of ours there are. drifted are the friends of whose
    namespace's objects one is missing or is not as desired, and misrouted those of whose routes.
    foreign are namespaces with a friend's name that are not the API's.
    """

    namespaces: int = 0
    routes: int = 0
    drifted: set[str] = field(default_factory=set)
    misrouted: set[str] = field(default_factory=set)
    stray_namespaces: list[Stray] = field(default_factory=list)
    stray_routes: list[Stray] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def observe_cluster(
    cluster: Cluster, friends: Mapping[str, FriendRecord], layout: ClusterLayout
) -> ClusterView:
    """Return how the cluster differs from what is recorded of these friends, who live in it.

    Raises what a list raises: of a cluster that was seen in part, nothing is known.
    """
    return _Observer(cluster, friends, layout).observe()


class _Observer:
    def __init__(
        self, cluster: Cluster, friends: Mapping[str, FriendRecord], layout: ClusterLayout
    ) -> None:
        self._cluster = cluster
        self._friends = friends
        self._layout = layout
        self._view = ClusterView()

    def observe(self) -> ClusterView:
        inner = [partial(self._sound_objects, kind) for kind in NAMESPACE_KINDS[1:]]
        reads: list[Callable[[], set[str]]] = [self._sound_namespaces, *inner, self._sound_routes]
        # In threads of its own: clusters that hang would keep those of the common pool.
        *sound, routed = each_of(_call, reads, at_once=len(reads))
        staying = {
            friend_id
            for friend_id, record in self._friends.items()
            if record.friend.phase is not Phase.DELETING
        }
        for found in sound:
            self._view.drifted |= staying - found
        self._view.misrouted = {
            friend_id
            for friend_id in staying
            for exposure in self._friends[friend_id].exposures
            if f"{friend_id}/{route_name(exposure)}" not in routed
        }
        return self._view

    def _sound_namespaces(self) -> set[str]:
        sound: set[str] = set()

        def look(thing: JsonObject) -> None:
            friend_id = friend_in(thing["metadata"]["name"])
            if friend_id is None:
                return
            record = self._friends.get(friend_id)
            if record is not None and is_of(thing, record.friend):
                self._view.namespaces += 1
                if self._is_sound(thing, kinds.NAMESPACE, record):
                    sound.add(friend_id)
            elif (uid := _owner_in(thing, friend_id)) is None:
                self._view.foreign.append(friend_id)
            else:
                self._view.namespaces += 1
                if not thing["metadata"].get("deletionTimestamp"):
                    self._view.stray_namespaces.append(Stray(friend_id, uid))

        self._look_at_each(kinds.NAMESPACE, "", look)
        return sound

    def _sound_objects(self, kind: Kind) -> set[str]:
        sound: set[str] = set()

        def look(thing: JsonObject) -> None:
            record = self._owner_of(thing)
            if record is not None and self._is_sound(thing, kind, record):
                sound.add(record.friend.id)

        self._look_at_each(kind, _OURS, look)
        return sound

    def _sound_routes(self) -> set[str]:
        sound: set[str] = set()

        def look(thing: JsonObject) -> None:
            self._view.routes += 1
            record = self._owner_of(thing)
            if record is None:
                # It is an unknown friend's, and goes with their namespace.
                return
            name, friend = thing["metadata"]["name"], record.friend
            exposure = next((each for each in record.exposures if route_name(each) == name), None)
            if exposure is None:
                self._view.stray_routes.append(Stray(friend.id, friend.uid, name))
            elif _says(thing, build_ingress_route(friend, exposure)):
                sound.add(f"{friend.id}/{name}")

        self._look_at_each(kinds.INGRESS_ROUTE, _OURS, look)
        return sound

    def _look_at_each(self, kind: Kind, labels: str, look: Callable[[JsonObject], None]) -> None:
        for page in self._cluster.list_pages(kind, labels):
            for thing in page:
                try:
                    look(thing)
                except (AttributeError, LookupError, TypeError, ValueError):
                    _log.warning("an object is not understood", extra={"kind": kind.name})

    def _owner_of(self, thing: JsonObject) -> FriendRecord | None:
        friend_id = friend_in(thing["metadata"].get("namespace") or "")
        record = self._friends.get(friend_id or "")
        return record if record is not None and is_of(thing, record.friend) else None

    def _is_sound(self, thing: JsonObject, kind: Kind, record: FriendRecord) -> bool:
        return _says(thing, build_namespace_object(kind, record.friend, self._layout))


def _call(read: Callable[[], set[str]]) -> set[str]:
    return read()


def _says(thing: JsonObject, desired: JsonObject) -> bool:
    """Tell whether a list's item says everything that is desired, under the desired name."""
    if thing["metadata"].get("deletionTimestamp"):
        return False
    return contains(
        thing, {key: value for key, value in desired.items() if key not in _ON_THE_LIST}
    )


def _owner_in(namespace: JsonObject, friend_id: str) -> str | None:
    """Return the uid of the registration that a namespace was made for, if the API made it."""
    labels = namespace["metadata"].get("labels") or {}
    expected = {MANAGED_BY_LABEL: MANAGER, FRIEND_LABEL: friend_id}
    uid = labels.get(UID_LABEL)
    is_ours = expected.items() <= labels.items()
    return str(uid) if uid and is_ours else None
