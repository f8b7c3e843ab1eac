"""What each field of a manifest must be, said once more: a mark that goes missing is noticed here.

The tables repeat what declarations.py says, on purpose, from Kubernetes' reference: the API server
answers some of these with a 500, and takes others that would loosen a friend's isolation.
"""

from typing import Any, Final

import pytest

from chalicelib.domain.admission import shapes
from chalicelib.domain.admission.reader import Reader
from chalicelib.domain.admission.report import Report

REQUIRED: Final = {
    "LabelSelectorRequirement": "key operator",
    "PodTemplateSpec": "spec",
    "PodSpec": "containers",
    "Profile": "type",
    "Sysctl": "name value",
    "PodOS": "name",
    "HostAlias": "ip",
    "LocalObjectReference": "name",
    "WeightedPodAffinityTerm": "podAffinityTerm weight",
    "PodAffinityTerm": "topologyKey",
    "TopologySpreadConstraint": "maxSkew topologyKey whenUnsatisfiable",
    "Container": "image name",
    "EnvVar": "name",
    "KeySelector": "key name",
    "ObjectFieldSelector": "fieldPath",
    "ResourceFieldSelector": "resource",
    "EnvSource": "name",
    "HTTPGetAction": "port",
    "HTTPHeader": "name value",
    "SleepAction": "seconds",
    "TCPSocketAction": "port",
    "GRPCAction": "port",
    "ContainerPort": "containerPort",
    "VolumeMount": "mountPath name",
    "Volume": "name",
    "ConfigMapVolumeSource": "name",
    "SecretVolumeSource": "secretName",
    "KeyToPath": "key path",
    "DownwardAPIVolumeFile": "path",
    "NamedProjection": "name",
}
REFUSED: Final = {
    "ObjectMeta": (
        "creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers"
        " generateName generation managedFields ownerReferences resourceVersion selfLink uid"
    ),
    "TemplateMeta": (
        "creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers"
        " generateName generation managedFields ownerReferences resourceVersion selfLink uid"
        " namespace"
    ),
    "ServiceSpec": "ipFamilies ipFamilyPolicy",
    "PodSpec": (
        "ephemeralContainers hostUsers hostnameOverride nodeName nodeSelector overhead"
        " preemptionPolicy priority priorityClassName readinessGates resourceClaims resources"
        " runtimeClassName schedulingGates schedulingGroup tolerations"
    ),
    "PodSecurityContext": "windowsOptions",
    "Affinity": "nodeAffinity",
    "PodAffinityTerm": "namespaceSelector namespaces",
    "Container": "resizePolicy restartPolicyRules volumeDevices",
    "Lifecycle": "stopSignal",
    "HTTPGetAction": "host",
    "TCPSocketAction": "host",
    "ContainerPort": "hostIP hostPort",
    "ResourceRequirements": "claims",
    "SecurityContext": "windowsOptions",
}
WORDS: Final = {
    "LabelSelectorRequirement.operator": "In NotIn Exists DoesNotExist",
    "PodSecurityContext.fsGroupChangePolicy": "OnRootMismatch Always",
    "PodSecurityContext.seLinuxChangePolicy": "Recursive",
    "PodSecurityContext.supplementalGroupsPolicy": "Merge Strict",
    "Profile.type": "RuntimeDefault Localhost Unconfined",
    "PodOS.name": "linux windows",
    "TopologySpreadConstraint.nodeAffinityPolicy": "Honor Ignore",
    "TopologySpreadConstraint.nodeTaintsPolicy": "Honor Ignore",
    "TopologySpreadConstraint.whenUnsatisfiable": "DoNotSchedule ScheduleAnyway",
    "Container.imagePullPolicy": "Always IfNotPresent Never",
    "Container.terminationMessagePolicy": "File FallbackToLogsOnError",
    "HTTPGetAction.scheme": "HTTP HTTPS",
    "ContainerPort.protocol": "TCP UDP SCTP",
    "SecurityContext.procMount": "Default Unmasked",
    "VolumeMount.mountPropagation": "None HostToContainer Bidirectional",
    "VolumeMount.recursiveReadOnly": "Disabled IfPossible Enabled",
}
KEYS: Final = {
    "PodSpec.containers": "name",
    "PodSpec.hostAliases": "ip",
    "PodSpec.imagePullSecrets": "name",
    "PodSpec.initContainers": "name",
    "PodSpec.topologySpreadConstraints": "topologyKey whenUnsatisfiable",
    "PodSpec.volumes": "name",
    "Container.env": "name",
    "Container.ports": "containerPort protocol",
    "Container.volumeMounts": "mountPath",
}

TWO: Final[dict[str, tuple[Any, Any]]] = {
    "containerPort": (1, 2),
    "protocol": ("TCP", "UDP"),
    "whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
}
"""Two values of a key that takes no word of ours."""


def split(table: dict[str, str]) -> list[str]:
    """Return each field as Struct.field."""
    return [f"{name}.{field}" for name, fields in table.items() for field in fields.split()]


def faults_of(field: str, value: dict[str, Any]) -> list[str]:
    """Return where the field's struct, read from this value, is wrong."""
    report = Report()
    struct = shapes._struct(field.partition(".")[0])  # noqa: SLF001 - the smallest thing that reads it
    struct.read(value, None, Reader(report, ""))
    return [fault.path for fault in report.faults]


@pytest.mark.parametrize("field", split(REQUIRED))
def test_a_field_that_must_be_there_is_missed(field: str) -> None:
    name = field.partition(".")[2]
    assert f"/{name}" in faults_of(field, {})
    assert f"/{name}" in faults_of(field, {name: None})


@pytest.mark.parametrize("field", split(REFUSED))
@pytest.mark.parametrize("value", ["", 0, False, [], {}])
def test_a_field_that_nobody_may_set_is_refused_whatever_it_says(field: str, value: Any) -> None:
    name = field.partition(".")[2]
    assert faults_of(field, {name: value}).count(f"/{name}") == 1


@pytest.mark.parametrize(("field", "words"), WORDS.items())
def test_a_field_is_one_of_its_words(field: str, words: str) -> None:
    name = field.partition(".")[2]
    assert f"/{name}" in faults_of(field, {name: "anything-else"})
    assert f"/{name}" in faults_of(field, {name: ""})
    for word in words.split():
        assert f"/{name}" not in faults_of(field, {name: word})


@pytest.mark.parametrize(("field", "keys"), KEYS.items())
def test_two_items_of_a_list_that_is_merged_by_key_have_two_keys(field: str, keys: str) -> None:
    name = field.partition(".")[2]
    item = {key: TWO.get(key, ("a", "b"))[0] for key in keys.split()}
    assert f"/{name}/1" in faults_of(field, {name: [item, item]})
    for key in keys.split():
        other = {**item, key: TWO.get(key, ("a", "b"))[1]}
        assert f"/{name}/1" not in faults_of(field, {name: [item, other]})
