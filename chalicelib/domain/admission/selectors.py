"""Label selectors: those of a Deployment, and those by which pods look at other pods."""

from collections.abc import Iterator, Mapping
from typing import Final

from chalicelib.domain.admission.metadata import check_label_count, check_labels, is_reserved
from chalicelib.domain.admission.names import is_label_key, is_label_value
from chalicelib.domain.admission.report import Patch, Report, add, child
from chalicelib.domain.errors import LONGEST_ECHO
from chalicelib.domain.model import JsonObject

# A selector of more labels than this is no slip of the pen: no fix would be read.
_MOST_ADDED: Final = 16
_WITH_VALUES: Final = ("In", "NotIn")


def check_deployment_selector(spec: JsonObject, at: str, report: Report) -> None:
    """Refuse a selector that is empty, reserved, or not that of the Deployment's own pods."""
    template, selector = spec.get("template"), spec.get("selector")
    if template is None:
        return
    labels = template.get("metadata", {}).get("labels", {})
    if not _says_anything(selector):
        message = "selector is required: labels that the pod template has too."
        own = {key: value for key, value in labels.items() if not is_reserved(key)}
        usable = own and all(map(_is_usable, own, own.values()))
        fix = add(child(at, "selector"), {"matchLabels": own}) if usable else None
        report.refuse(child(at, "selector"), message, fix)
    elif selector is not None:
        check_selector(selector, child(at, "selector"), report)
        _check_reserved_keys(selector, child(at, "selector"), report)
        _check_match(spec, labels, at, report)


def check_selector(selector: JsonObject, at: str, report: Report) -> None:
    """Refuse a selector that the cluster would refuse, or one of too many labels."""
    if check_label_count(selector.get("matchLabels", {}), child(at, "matchLabels"), report):
        return
    for key, value in selector.get("matchLabels", {}).items():
        if not _is_valid(key, value):
            check_labels({key: value}, child(at, "matchLabels"), report)
    for index, each in enumerate(selector.get("matchExpressions", ())):
        fault = _expression_fault(each)
        if fault:
            report.refuse(child(at, "matchExpressions", index), fault)


def _says_anything(selector: JsonObject | None) -> bool:
    return bool(selector and (selector.get("matchLabels") or selector.get("matchExpressions")))


def _is_valid(key: str, value: str) -> bool:
    return is_label_key(key) and is_label_value(value)


def _is_usable(key: str, value: str) -> bool:
    """Whether a fix may add this label, which is not reserved."""
    return _is_valid(key, value) and len(key) <= LONGEST_ECHO


def _expression_fault(expression: JsonObject) -> str | None:
    values = expression.get("values", [])
    if not is_label_key(expression.get("key", "key")):
        return "key must be a label's key."
    if expression.get("operator") in _WITH_VALUES:
        if not values or not all(map(is_label_value, values)):
            return "values must be label values, one at least, for In and NotIn."
    elif values:
        return "values must be absent for Exists and DoesNotExist."
    return None


def _check_reserved_keys(selector: JsonObject, at: str, report: Report) -> None:
    labels = selector.get("matchLabels", {}).items()
    reserved = {key: value for key, value in labels if is_reserved(key) and _is_valid(key, value)}
    check_labels(reserved, child(at, "matchLabels"), report)
    for index, each in enumerate(selector.get("matchExpressions", ())):
        if is_reserved(each.get("key", "")):
            message = "A selector must not look at a label that is reserved."
            report.refuse(child(at, "matchExpressions", index, "key"), message)


def _check_match(spec: JsonObject, labels: Mapping[str, str], at: str, report: Report) -> None:
    """Refuse a selector that misses the template; what is reserved is refused already."""
    wanted = spec["selector"].get("matchLabels", {})
    missed = {
        key: value
        for key, value in wanted.items()
        if not is_reserved(key) and labels.get(key) != value
    }
    pointer = child(at, "selector")
    message = "selector must match the labels of the Deployment's own pod template."
    if not _expressions_hold(spec["selector"], {**labels, **wanted}):
        report.refuse(pointer, message)
    elif missed:
        usable = len(missed) <= _MOST_ADDED and all(map(_is_usable, missed, missed.values()))
        template_at = child(at, "template")
        fix = _add_labels(spec["template"], missed, template_at) if usable else None
        report.refuse(pointer, message, fix)


def _expressions_hold(selector: JsonObject, labels: Mapping[str, str]) -> bool:
    return all(_holds(each, labels) for each in selector.get("matchExpressions", ()))


def _holds(expression: JsonObject, labels: Mapping[str, str]) -> bool:
    key, values = expression.get("key", ""), expression.get("values", [])
    if is_reserved(key) or _expression_fault(expression):
        return True
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(expression.get("operator", ""), True)


def _add_labels(template: JsonObject, labels: Mapping[str, str], at: str) -> Patch:
    if "metadata" not in template:
        return add(child(at, "metadata"), {"labels": dict(labels)})
    if "labels" not in template["metadata"]:
        return add(child(at, "metadata", "labels"), dict(labels))
    steps: Iterator[Patch] = (
        add(child(at, "metadata", "labels", key), value) for key, value in labels.items()
    )
    return tuple(step for patch in steps for step in patch)
