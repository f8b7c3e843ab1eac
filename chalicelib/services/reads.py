"""Reads in the shapes in which they go out side by side."""

from chalicelib.domain.kinds import ObjectRef
from chalicelib.domain.model import JsonObject
from chalicelib.ports import Cluster


def get_as_list(cluster: Cluster, ref: ObjectRef) -> list[JsonObject]:
    """Return the one object, or nothing, as the list that the reads beside it return."""
    found = cluster.get(ref)
    return [] if found is None else [found]
