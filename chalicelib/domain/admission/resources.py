"""What one container asks for, and what the friend's LimitRange makes of it.

A fault here is what the LimitRange could never let through, and what it does let through although
no container runs with it: a limit of 0, which stands for none at all on the node, and so little
memory or storage that another unit was meant.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from chalicelib.domain.admission.names import member, removal
from chalicelib.domain.admission.quantities import format_quantity, parse_quantity
from chalicelib.domain.admission.report import Report, add, child, echo, joined
from chalicelib.domain.admission.units import read_bytes, read_cpu
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
    """What one resource may be, as quantities. A request may be 0, or start at its own least.

    read makes of a quantity in the wrong unit what was meant.
    """

    name: str
    least: str
    least_request: str
    most: str
    default_limit: str
    default_request: str
    read: Callable[[object], Fraction]

    def nearest(self, given: object, least: str, most: str) -> str:
        """Return the quantity within bounds that is nearest to what was meant."""
        meant = max(self.read(given), parse_quantity(least))
        return most if meant >= parse_quantity(most) else format_quantity(meant, self.name)


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
    # Kubernetes divides a processor into thousandths; runc starts nothing with less than 4Mi.
    return (
        _Rule("cpu", "1m", "1m", tier.max_cpu, tier.default_cpu, tier.request_cpu, read_cpu),
        _Rule(
            *("memory", "4Mi", "1Mi"),
            *(tier.max_memory, tier.default_memory, tier.request_memory),
            read_bytes,
        ),
        _Rule(
            *("ephemeral-storage", "1Mi", "1Mi"),
            *(tier.max_storage, tier.default_storage, tier.request_storage),
            read_bytes,
        ),
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
    least, most = parse_quantity(rule.least), parse_quantity(rule.most)
    if value is not None and least <= value <= most:
        return str(given)
    is_amount = value is not None and value > 0
    mended = rule.nearest(given, rule.least, rule.most) if is_amount else rule.default_limit
    pointer = child(at, "limits", rule.name)
    message = f"The limit of {rule.name} must be a quantity from {rule.least} to {rule.most}."
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
    least = parse_quantity(rule.least_request)
    if value is not None and (value == 0 or least <= value <= parse_quantity(most)):
        return str(given)
    usual = min(most, rule.default_request, key=parse_quantity)
    is_amount = value is not None and value > 0
    mended = rule.nearest(given, rule.least_request, most) if is_amount else usual
    pointer = child(at, "requests", rule.name)
    why = "the most a container may have" if limit is None else "its limit"
    message = (
        f"The request of {rule.name} must be 0, or a quantity from {rule.least_request} to {most},"
        f" {why}."
    )
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
