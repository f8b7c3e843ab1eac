"""How the cluster's objects are read: what they have in common, whatever their kind.

Nothing here checks the shape of an object. One that has not the shape of its kind raises
AttributeError, IndexError, KeyError or TypeError; callers turn these into UpstreamFailed with
summaries.well_formed().
"""

from collections.abc import Sequence
from typing import Any

from chalicelib.domain.model import JsonObject


def dig(thing: JsonObject, *keys: str) -> Any:  # noqa: ANN401 - a Kubernetes object's inside has no static type
    """Return what lies under the keys, or None where the object is silent."""
    found: Any = thing
    for key in keys:
        found = (found or {}).get(key)
    return found


def name_of(thing: JsonObject) -> str:
    """Return the object's name."""
    return str(thing["metadata"]["name"])


def created_at(thing: JsonObject) -> str | None:
    """Return when the object was created: RFC 3339, UTC, in whole seconds."""
    created = thing["metadata"].get("creationTimestamp")
    return None if created is None else str(created)


def condition_of(thing: JsonObject, name: str) -> JsonObject:
    """Return the condition of this type; one that is not there is empty."""
    conditions: list[JsonObject] = dig(thing, "status", "conditions") or []
    return next((each for each in conditions if each.get("type") == name), {})


def true_conditions(thing: JsonObject) -> list[JsonObject]:
    """Return the conditions that hold."""
    conditions = dig(thing, "status", "conditions") or []
    return [each for each in conditions if each.get("status") == "True"]


def last_seen(event: JsonObject) -> str:
    """Return when an event happened last, or "". Newer events have fractions of a second."""
    found = (
        event.get("lastTimestamp")
        or dig(event, "series", "lastObservedTime")
        or event.get("eventTime")
        or created_at(event)
    )
    return str(found or "")


def newest(
    events: Sequence[JsonObject], kind: str, name: str | None, uid: str | None = None
) -> JsonObject:
    """Return the last event about this object, or an empty one; without uid, of any incarnation.

    A list is in the order of names, and these hold the time: it decides within a second.
    """

    def concerns(event: JsonObject) -> bool:
        subject = event.get("involvedObject") or {}
        same = (subject.get("kind"), subject.get("name")) == (kind, name)
        return same and uid in {None, subject.get("uid")}

    found = [each for each in reversed(events) if concerns(each)]
    return max(found, key=lambda each: last_seen(each)[:19], default={})


def cut(text: str, most: int) -> str:
    """Return the text in at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
