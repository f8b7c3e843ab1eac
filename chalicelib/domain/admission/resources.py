"""What one container asks for, and what the friend's LimitRange makes of it.

A fault here is what the LimitRange could never let through. A limit of 0 would get through, and
stand for no limit at all on the node: it is refused too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from chalicelib.domain.admission.names import member, removal
from chalicelib.domain.admission.quantities import parse_quantity
from chalicelib.domain.admission.report import Report, add, child, echo, joined
from chalicelib.domain.model import JsonObject
from chalicelib.domain.tiers import Tier

Amounts = dict[str, Fraction]
"""Amounts by their name in a ResourceQuota, such as limits.cpu."""

_COUNTED: Final = (
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
)


@dataclass(frozen=True)
class _Rule:
    """What the LimitRange says of one resource, as quantities."""

    name: str
    most: str
    default_limit: str
    default_request: str


def check_resources(pod: JsonObject, at: str, tier: Tier, report: Report) -> Amounts:
    """Refuse resources that the LimitRange refuses. Return what quota counts, as mended.

    Init containers run one by one before the containers; those that always restart stay.
    Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    rules = _rules_of(tier)
    running: Amounts = dict.fromkeys(_COUNTED, Fraction(0))
    most = running
    for index, container in enumerate(pod.get("initContainers", ())):
        asked = _check_container(container, child(at, "initContainers", index), rules, report)
        total = {name: running[name] + asked[name] for name in _COUNTED}
        most = {name: max(most[name], total[name]) for name in _COUNTED}
        if container.get("restartPolicy") == "Always":
            running = total
    for index, container in enumerate(pod.get("containers", ())):
        asked = _check_container(container, child(at, "containers", index), rules, report)
        running = {name: running[name] + asked[name] for name in _COUNTED}
    return {name: max(most[name], running[name]) for name in _COUNTED}


def _check_container(
    container: JsonObject, at: str, rules: Sequence[_Rule], report: Report
) -> Amounts:
    resources, at = container.get("resources", {}), child(at, "resources")
    _check_names(resources, rules, at, report)
    asked: Amounts = {}
    unlimited: dict[str, str] = {}
    for rule in rules:
        limit = _read_limit(resources, rule, at, report)
        request = _read_request(resources, rule, limit, at, report)
        if limit is None:
            limit, request = rule.default_limit, request or rule.default_request
            if parse_quantity(request) > parse_quantity(limit):
                unlimited[rule.name] = limit = request
        asked[f"limits.{rule.name}"] = parse_quantity(limit)
        asked[f"requests.{rule.name}"] = parse_quantity(request or limit)
    _check_unlimited(resources, unlimited, at, report)
    return asked


def _rules_of(tier: Tier) -> tuple[_Rule, ...]:
    return (
        _Rule("cpu", tier.max_cpu, tier.default_cpu, tier.request_cpu),
        _Rule("memory", tier.max_memory, tier.default_memory, tier.request_memory),
        _Rule("ephemeral-storage", tier.max_storage, tier.default_storage, tier.request_storage),
    )


def _check_names(resources: JsonObject, rules: Sequence[_Rule], at: str, report: Report) -> None:
    known = [rule.name for rule in rules]
    for side in ("limits", "requests"):
        for name in resources.get(side, {}):
            if name in known:
                continue
            message = f"The resource {echo(name)} is not one of: {joined(known)}."
            pointer = child(at, side)
            report.refuse(member(pointer, name), message, removal(pointer, name))


def _read_limit(resources: JsonObject, rule: _Rule, at: str, report: Report) -> str | None:
    """Return the limit as given or mended; None where there is none."""
    given = resources.get("limits", {}).get(rule.name)
    if given is None:
        return None
    value = _parse(given)
    if value is not None and 0 < value <= parse_quantity(rule.most):
        return str(given)
    mended = rule.default_limit if value is None or value <= 0 else rule.most
    pointer = child(at, "limits", rule.name)
    message = f"The limit of {rule.name} must be a quantity above 0 and at most {rule.most}."
    report.refuse(pointer, message, add(pointer, mended))
    return mended


def _read_request(
    resources: JsonObject, rule: _Rule, limit: str | None, at: str, report: Report
) -> str | None:
    """Return the request as given or mended; None where there is none."""
    given = resources.get("requests", {}).get(rule.name)
    if given is None:
        return None
    value, most = _parse(given), limit or rule.most
    if value is not None and 0 <= value <= parse_quantity(most):
        return str(given)
    usual = min(most, rule.default_request, key=parse_quantity)
    mended = usual if value is None or value < 0 else most
    pointer = child(at, "requests", rule.name)
    why = "the most a container may have" if limit is None else "its limit"
    message = f"The request of {rule.name} must be a quantity from 0 to {most}, {why}."
    report.refuse(pointer, message, add(pointer, mended))
    return mended


def _check_unlimited(
    resources: JsonObject, unlimited: Mapping[str, str], at: str, report: Report
) -> None:
    at = child(at, "limits")
    for name, request in unlimited.items():
        pointer = child(at, name)
        message = f"A limit of {name} is required: the default one is below the request."
        fix = add(pointer, request) if "limits" in resources else add(at, dict(unlimited))
        report.refuse(pointer, message, fix)


def _parse(text: object) -> Fraction | None:
    try:
        return parse_quantity(text)
    except ValueError:
        return None
