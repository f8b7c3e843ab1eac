"""What a manifest may say about itself: its name, namespace, labels and annotations.

Controllers all over a cluster act on labels and annotations; a friend's agent may set those that
only it reads. Annotations go by an allowlist, labels by what Kubernetes and we reserve.
"""

from collections.abc import Mapping
from typing import Final

from chalicelib.domain.admission.names import (
    LONGEST_LABEL,
    is_dns_label,
    is_label_key,
    is_label_value,
    is_service_label,
    is_subdomain,
    member,
    removal,
)
from chalicelib.domain.admission.report import Report, add, child, echo
from chalicelib.domain.model import JsonObject
from chalicelib.domain.namespace import FRIEND_LABEL, MANAGED_BY_LABEL, MANAGER

_OWN_PREFIX: Final = FRIEND_LABEL.partition("/")[0]
_APP_PREFIX: Final = "app.kubernetes.io"
_APP_LABELS: Final = frozenset(
    f"{_APP_PREFIX}/{name}"
    for name in ("name", "instance", "version", "component", "part-of", "managed-by")
)
# Kubernetes' own, and those by which widespread controllers change a pod or hand it identities.
_ACTED_UPON: Final = (
    *("kubernetes.io", "k8s.io", "x-k8s.io", "istio.io", "linkerd.io"),
    *("workload.identity", "admission.datadoghq.com", "kuma.io", "argoproj.io"),
    "eks.amazonaws.com",
)
# Noted by packagers for themselves: a change of it restarts the pods, which is what it is for.
_HARMLESS_ANNOTATIONS: Final = frozenset({_APP_PREFIX, "checksum"})
_CONTROLLERS_OWN: Final = frozenset(
    {
        # AAD Pod Identity hands a cloud identity to whoever has it.
        "aadpodidbinding",
        "controller-revision-hash",
        "controller-uid",
        "job-name",
        "pod-template-generation",
        "pod-template-hash",
    }
)
MOST_LABELS: Final = 32
_LARGEST_LABELS_BYTES: Final = 4 * 1024
OWN_NAME_PREFIX: Final = "friends-api-"
# Every namespace has it: the certificate authority's controller writes it.
_CLUSTER_CONFIG_MAP: Final = "kube-root-ca.crt"
# Pods carry the name of their Deployment or Job in a label; a CronJob's Jobs add 11 characters.
_CRON_JOB_SUFFIX: Final = "-" + "0" * 10
_INDEX: Final = "-99"
_LONGEST_NAMES: Final = {"ConfigMap": 253, "CronJob": 52, "Deployment": 63, "Job": 63}


def check_metadata(manifest: JsonObject, at: str, namespace: str, report: Report) -> None:
    """Refuse an object that is not named, lies elsewhere, or that somebody else would act upon."""
    metadata, at = manifest.get("metadata"), child(at, "metadata")
    if metadata is None:
        report.refuse(at, "metadata is required: at least a name.")
        return
    _check_name(manifest["kind"], metadata.get("name"), child(at, "name"), report)
    _check_indexed_name(manifest, metadata.get("name"), child(at, "name"), report)
    if metadata.get("namespace", namespace) != namespace:
        pointer = child(at, "namespace")
        message = f"namespace must be absent, or the friend's own: {namespace}."
        report.refuse(pointer, message, add(pointer, namespace))
    check_tags(metadata, at, report)


def check_tags(metadata: JsonObject, at: str, report: Report) -> None:
    """Refuse labels and annotations that are reserved or malformed."""
    check_labels(metadata.get("labels", {}), child(at, "labels"), report, removable=True)
    for key in metadata.get("annotations", {}):
        fault = _annotation_fault(key)
        if fault:
            pointer = child(at, "annotations")
            report.refuse(member(pointer, key), fault, removal(pointer, key))


def check_labels(
    labels: Mapping[str, str], at: str, report: Report, *, removable: bool = False
) -> None:
    """Refuse labels that are too many, reserved or malformed; at is the pointer of their map.

    removable: taking a reserved one away mends the fault. Not so in a selector: it would select
    more than was meant.
    """
    if check_label_count(labels, at, report):
        return
    for key, value in labels.items():
        if is_reserved(key) or (key, value) == (MANAGED_BY_LABEL, MANAGER):
            message = (
                f"The label {echo(key)} is reserved; use one without a prefix, one of your own"
                f" prefix, or {_APP_PREFIX}/name, instance, version, component or part-of."
            )
            report.refuse(member(at, key), message, removal(at, key) if removable else None)
        elif not is_label_key(key):
            message = (
                f"The label {echo(key)} must have a key of 1 to 63 letters, digits, '-', '_' and"
                " '.', after an optional DNS prefix and '/'."
            )
            report.refuse(member(at, key), message)
        elif not is_label_value(value):
            message = (
                f"The value of the label {echo(key)} must be empty, or up to 63 letters, digits,"
                " '-', '_' and '.', and start and end with a letter or digit."
            )
            report.refuse(member(at, key), message)


def check_label_count(labels: Mapping[str, str], at: str, report: Report) -> bool:
    """Refuse a map of more labels than an object may have. Return whether it was refused."""
    size = sum(len(f"{key}{value}".encode(errors="replace")) for key, value in labels.items())
    is_over = len(labels) > MOST_LABELS or size > _LARGEST_LABELS_BYTES
    if is_over:
        message = (
            f"There may be {MOST_LABELS} labels here, of {_LARGEST_LABELS_BYTES // 1024} KiB"
            " together. Move labels that no selector uses to annotations or a ConfigMap."
        )
        report.refuse(at, message)
    return is_over


def is_reserved(key: str) -> bool:
    """Whether a label means something to us, to Kubernetes or to its controllers."""
    prefix, slash, _ = key.lower().rpartition("/")
    if not slash:
        return key in _CONTROLLERS_OWN
    if prefix == _OWN_PREFIX:
        return True
    return _is_acted_upon(prefix) and key not in _APP_LABELS


def _is_acted_upon(prefix: str) -> bool:
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in _ACTED_UPON)


def _annotation_fault(key: str) -> str | None:
    prefix, slash, _ = key.rpartition("/")
    if slash and prefix not in _HARMLESS_ANNOTATIONS:
        return (
            f"The annotation {echo(key)} is not allowed: somebody else may act upon it. Use one"
            f" without a prefix, or of {_APP_PREFIX}/."
        )
    if not is_label_key(key):
        return f"The annotation {echo(key)} must have a key of 1 to 63 letters, digits and '-_.'."
    return None


def _check_name(kind: str, name: str | None, at: str, report: Report) -> None:
    if not name:
        report.refuse(at, "name is required.")
    elif name.startswith(OWN_NAME_PREFIX) or (kind, name) == ("ConfigMap", _CLUSTER_CONFIG_MAP):
        report.refuse(at, f"The name {echo(name)} is reserved; choose another.")
    elif kind == "Service":
        if not is_service_label(name):
            message = (
                "A Service's name must be 1 to 63 lower-case letters, digits and hyphens, start"
                " with a letter, and end with a letter or digit."
            )
            report.refuse(at, message)
    elif not is_subdomain(name, _LONGEST_NAMES[kind]):
        message = (
            f"The name of a {kind} must be 1 to {_LONGEST_NAMES[kind]} lower-case letters, digits,"
            " '-' and '.', and start and end with a letter or digit."
        )
        report.refuse(at, message)


def _check_indexed_name(manifest: JsonObject, name: str | None, at: str, report: Report) -> None:
    """Check that an indexed Job's name, with an index, may be the name of a host."""
    spec = manifest.get("spec", {})
    job = spec.get("jobTemplate", {}).get("spec", {}) if manifest["kind"] == "CronJob" else spec
    added = _CRON_JOB_SUFFIX + _INDEX if manifest["kind"] == "CronJob" else _INDEX
    if name and job.get("completionMode") == "Indexed" and not is_dns_label(name + added):
        longest = LONGEST_LABEL - len(added)
        message = (
            f"The name must be up to {longest} lower-case letters, digits and hyphens where"
            " completionMode is Indexed: it starts the names of hosts."
        )
        report.refuse(at, message)
