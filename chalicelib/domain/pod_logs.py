"""Which container's log can be read, decided from the pod, and which end of it is shown."""

import codecs
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.errors import Conflict, Fault, NotFound
from chalicelib.domain.model import JsonObject

_GROUPS = {
    "containers": "containerStatuses",
    "initContainers": "initContainerStatuses",
    "ephemeralContainers": "ephemeralContainerStatuses",
}


# A character of UTF-8 has at most four bytes.
_LONGEST_REST: Final = 3
_CONTINUATION_BYTES: Final = range(0x80, 0xC0)
_NEW_LINE: Final = b"\n"


@dataclass(frozen=True)
class LogEnd:
    """The end of a log; truncated says that older lines were asked for and left out."""

    text: str
    truncated: bool


def keep_end(log: bytes, limit_bytes: int, *, truncated: bool = False) -> LogEnd:
    """Return the last whole lines of a log that fit; of a line that is longer, its end.

    truncated says that the log lacks older lines already. Bytes that are not UTF-8 become U+FFFD; a
    character that is not written to its end is left out.
    """
    kept = log
    if len(log) > limit_bytes:
        truncated = True
        # The byte before tells whether the cut falls between two lines.
        _, _, kept = log[-limit_bytes - 1 :].partition(_NEW_LINE)
        kept = kept or _whole_characters(log[-limit_bytes:])
    return LogEnd(codecs.getincrementaldecoder("utf-8")("replace").decode(kept), truncated)


def _whole_characters(cut: bytes) -> bytes:
    """Return the bytes without the rest of the character that was cut in two."""
    at = 0
    while at < _LONGEST_REST and cut[at : at + 1] and cut[at] in _CONTINUATION_BYTES:
        at += 1
    return cut[at:]


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
