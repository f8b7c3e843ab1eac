"""Labels by which the platform around a friend's namespace selects: the operator's setting.

A sidecar of Grafana's reads every ConfigMap with its label, a Prometheus every Service with its
release. An object goes without such a label. A pod's is renamed, and so is everything in the
manifest that looks at it; a Service of another manifest gets the same name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from chalicelib.domain import kinds
from chalicelib.domain.admission.metadata import MOST_LABELS
from chalicelib.domain.admission.names import is_label_key, is_label_value, member, removal
from chalicelib.domain.admission.placement import list_terms
from chalicelib.domain.admission.report import Report, child, echo
from chalicelib.domain.errors import LONGEST_ECHO
from chalicelib.domain.model import JsonObject

_RENAMED: Final = "my-"


@dataclass(frozen=True)
class _Use:
    """A label's key in one place: a member of a map of labels, or a text in a selector.

    at is the pointer of the holder. The value of a text is None.
    """

    key: str
    value: str | None
    holder: Any
    place: str | int
    at: str

    def takes(self, name: str) -> bool:
        """Whether the key may become this name here."""
        return self.value is None or (is_label_value(self.value) and name not in self.holder)

    def rename(self, name: str) -> dict[str, object]:
        """Rename it, and return the patch that does."""
        pointer = child(self.at, self.place)
        if self.value is None:
            self.holder[self.place] = name
            return {"op": "replace", "path": pointer, "value": name}
        self.holder[name] = self.holder.pop(self.key)
        return {"op": "move", "from": pointer, "path": child(self.at, name)}


def mend_reserved_labels(
    manifest: JsonObject,
    at: str,
    template: tuple[JsonObject | None, str],
    patterns: Sequence[str],
    report: Report,
) -> None:
    """Refuse labels that match a pattern. The manifest becomes what the fixes make of it.

    template is the pod template with its pointer, where the manifest has one.
    """
    spec = manifest.get("spec", {})
    for owner, pointer in (
        (manifest, at),
        (spec.get("jobTemplate", {}), child(at, "spec", "jobTemplate")),
    ):
        labels = owner.get("metadata", {}).get("labels", {})
        _remove(labels, child(pointer, "metadata", "labels"), patterns, report)
    if manifest["kind"] == kinds.SERVICE.name:
        uses = _uses_in_map(spec.get("selector", {}), child(at, "spec", "selector"))
    else:
        # A Job's selector is always refused, so it is not read here.
        selector = spec.get("selector", {}) if manifest["kind"] == kinds.DEPLOYMENT.name else {}
        uses = _uses_of_pods(selector, child(at, "spec", "selector"), *template)
    found: dict[str, list[_Use]] = {}
    for use in uses:
        if _is_reserved(use.key, patterns):
            found.setdefault(use.key, []).append(use)
    for key, same in found.items():
        _rename(key, same, patterns, report)


def _is_reserved(key: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _remove(labels: JsonObject, at: str, patterns: Sequence[str], report: Report) -> None:
    if len(labels) > MOST_LABELS:
        return
    for key in [each for each in labels if _is_reserved(each, patterns)]:
        message = f"The label {echo(key)} is reserved: the platform selects by it. Leave it out."
        report.refuse(member(at, key), message, removal(at, key))
        del labels[key]


def _rename(key: str, uses: list[_Use], patterns: Sequence[str], report: Report) -> None:
    name = f"{_RENAMED}{key}"
    is_free = is_label_key(name) and not _is_reserved(name, patterns)
    may = is_free and len(name) <= LONGEST_ECHO and all(use.takes(name) for use in uses)
    pointer = member(uses[0].at, str(uses[0].place))
    message = (
        f"The label {echo(key)} is reserved: the platform selects by it. Give it another name, in"
        " the pod template and in every selector."
    )
    report.refuse(pointer, message, tuple(use.rename(name) for use in uses) if may else None)


def _uses_of_pods(
    selector: JsonObject, selector_at: str, template: JsonObject | None, at: str
) -> Iterator[_Use]:
    template = template or {}
    labels = template.get("metadata", {}).get("labels", {})
    yield from _uses_in_map(labels, child(at, "metadata", "labels"))
    yield from _uses_in_selector(selector, selector_at)
    for term, term_at in list_terms(template.get("spec", {}), child(at, "spec")):
        pointer = child(term_at, "labelSelector")
        yield from _uses_in_selector(term.get("labelSelector", {}), pointer)
        for name in ("matchLabelKeys", "mismatchLabelKeys"):
            keys = term.get(name, [])
            for index, key in enumerate(keys):
                yield _Use(key, None, keys, index, child(term_at, name))


def _uses_in_selector(selector: JsonObject, at: str) -> Iterator[_Use]:
    yield from _uses_in_map(selector.get("matchLabels", {}), child(at, "matchLabels"))
    for index, each in enumerate(selector.get("matchExpressions", ())):
        if "key" in each:
            yield _Use(each["key"], None, each, "key", child(at, "matchExpressions", index))


def _uses_in_map(labels: Mapping[str, str], at: str) -> Iterator[_Use]:
    if len(labels) <= MOST_LABELS:
        for key, value in labels.items():
            yield _Use(key, value, labels, key, at)
