"""How pods are spread over nodes: by the friend's own pods alone.

A look at other namespaces could keep other friends' pods off a node, and tell where they are.
"""

from collections.abc import Iterator
from typing import Final

from chalicelib.domain.admission.bounds import Range, check_ranges
from chalicelib.domain.admission.names import is_label_key
from chalicelib.domain.admission.report import Report, child, remove
from chalicelib.domain.admission.selectors import check_selector
from chalicelib.domain.model import JsonObject

_WEIGHTS: Final = {"weight": Range(1, 100)}
_SPREAD: Final = {"maxSkew": Range(1, 100), "minDomains": Range(1, 100)}
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_AFFINITIES: Final = ("podAffinity", "podAntiAffinity")
_LABEL_KEYS: Final = ("matchLabelKeys", "mismatchLabelKeys")


def check_placement(spec: JsonObject, at: str, report: Report) -> None:
    """Refuse affinities and spread constraints that the cluster would refuse."""
    for name in _AFFINITIES:
        affinity, pointer = spec.get("affinity", {}).get(name, {}), child(at, "affinity", name)
        for index, weighted in enumerate(affinity.get(_PREFERRED, ())):
            check_ranges(weighted, _WEIGHTS, child(pointer, _PREFERRED, index), report)
        for term, term_at in _terms(affinity, pointer):
            _check_term(term, term_at, report)
    for index, constraint in enumerate(spec.get("topologySpreadConstraints", ())):
        _check_spread(constraint, child(at, "topologySpreadConstraints", index), report)


def list_terms(spec: JsonObject, at: str) -> Iterator[tuple[JsonObject, str]]:
    """Yield what looks at pods by their labels, with its pointer."""
    for name in _AFFINITIES:
        yield from _terms(spec.get("affinity", {}).get(name, {}), child(at, "affinity", name))
    for index, constraint in enumerate(spec.get("topologySpreadConstraints", ())):
        yield constraint, child(at, "topologySpreadConstraints", index)


def _terms(affinity: JsonObject, at: str) -> Iterator[tuple[JsonObject, str]]:
    for index, term in enumerate(affinity.get(_REQUIRED, ())):
        yield term, child(at, _REQUIRED, index)
    for index, weighted in enumerate(affinity.get(_PREFERRED, ())):
        if "podAffinityTerm" in weighted:
            yield weighted["podAffinityTerm"], child(at, _PREFERRED, index, "podAffinityTerm")


def _check_spread(constraint: JsonObject, at: str, report: Report) -> None:
    check_ranges(constraint, _SPREAD, at, report)
    if "minDomains" in constraint and constraint.get("whenUnsatisfiable") == "ScheduleAnyway":
        pointer = child(at, "minDomains")
        message = "minDomains must be absent unless whenUnsatisfiable is DoNotSchedule."
        report.refuse(pointer, message, remove(pointer))
    _check_term(constraint, at, report)


def _check_term(term: JsonObject, at: str, report: Report) -> None:
    if not is_label_key(term.get("topologyKey", "key")):
        report.refuse(child(at, "topologyKey"), "topologyKey must be the key of a node's label.")
    check_selector(term.get("labelSelector", {}), child(at, "labelSelector"), report)
    for name in _LABEL_KEYS:
        if term.get(name):
            _check_label_keys(term, name, child(at, name), report)


def _check_label_keys(term: JsonObject, name: str, at: str, report: Report) -> None:
    selector, keys = term.get("labelSelector"), term[name]
    if selector is None:
        report.refuse(at, f"{name} must be absent where there is no labelSelector.", remove(at))
        return
    expressions = selector.get("matchExpressions", ())
    selected = {*selector.get("matchLabels", {}), *(each.get("key") for each in expressions)}
    others = term.get("mismatchLabelKeys", ()) if name == "matchLabelKeys" else ()
    if not all(map(is_label_key, keys)) or selected & {*keys} or {*others} & {*keys}:
        message = f"{name} must be keys of labels that the labelSelector does not name already."
        report.refuse(at, message)
