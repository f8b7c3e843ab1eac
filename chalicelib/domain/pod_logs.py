"""Which container's log can be read, decided from the pod, before the log is asked for."""

from chalicelib.domain.errors import Conflict, Fault, NotFound
from chalicelib.domain.model import JsonObject

_GROUPS = {
    "containers": "containerStatuses",
    "initContainers": "initContainerStatuses",
    "ephemeralContainers": "ephemeralContainerStatuses",
}


def choose_container(pod: JsonObject, wanted: str | None) -> str:
    """Return the wanted container's name, or the first one's. Raises NotFound."""
    names = [str(each["name"]) for group in _GROUPS for each in pod["spec"].get(group) or []]
    chosen = names[0] if wanted is None else wanted
    if chosen not in names:
        message = f"The pod has no such container. Its containers: {', '.join(names)}."
        raise NotFound(message, code="container_not_found", faults=(Fault("?container", message),))
    return chosen


def require_log(pod: JsonObject, container: str, *, previous: bool) -> None:
    """Raise unless the container has written a log: Conflict before its start, else NotFound."""
    status = _status_of(pod, container)
    ended_before = bool((status.get("lastState") or {}).get("terminated"))
    if previous and not ended_before:
        msg = "This container has no previous run. Leave out previous."
        raise NotFound(msg, code="previous_log_not_found")
    state = status.get("state") or {"waiting": {}}
    if "waiting" in state and not ended_before:
        reason = (state["waiting"] or {}).get("reason") or "it waits to be scheduled"
        msg = (
            f"The container has not started ({reason}), so it has no log. See GET "
            "/api/friends/<id>/namespace/status."
        )
        raise Conflict(msg, code="container_not_started", retry_after_seconds=5)


def _status_of(pod: JsonObject, container: str) -> JsonObject:
    status = pod.get("status") or {}
    found = (
        each
        for group in _GROUPS.values()
        for each in status.get(group) or []
        if each["name"] == container
    )
    return next(found, {})
