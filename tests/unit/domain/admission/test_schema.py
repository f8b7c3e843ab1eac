"""Every field is known and typed, and what is not is refused before a cluster answers 500 to it."""

import re
from copy import deepcopy
from typing import Any

import kubernetes.client as official
import pytest

from chalicelib.domain import kinds
from chalicelib.domain.admission.scalars import ANYTHING
from chalicelib.domain.admission.schema import MOST_ITEMS, Struct
from chalicelib.domain.admission.shapes import SHAPES
from tests.manifests import (
    create_config_map_manifest,
    create_container,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
)
from tests.unit.domain.admission.requests import (
    Manifest,
    admitted,
    assert_mended,
    assert_refused,
    faults_of,
)

POD_AT = "/spec/template/spec"
BUILDERS = [
    create_config_map_manifest,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
]


@pytest.mark.parametrize("build", BUILDERS)
def test_a02_each_kind_has_one_api_version_which_may_be_left_out(build: Any) -> None:
    complete = admitted(build())
    manifest = build()
    del manifest["apiVersion"]
    assert admitted(manifest) == complete
    for wrong in ("rbac.authorization.k8s.io/v1", "extensions/v1beta1", "V1", "", None, 1, ["v1"]):
        assert_mended({**manifest, "apiVersion": wrong}, "/apiVersion")


@pytest.mark.parametrize("build", BUILDERS)
def test_a02_the_version_of_another_kind_is_no_version(build: Any) -> None:
    own = build()["apiVersion"]
    others = {other()["apiVersion"] for other in BUILDERS} - {own}
    for wrong in (*others, f"{own}beta1", f"{own} ", own.upper()):
        assert_mended({**build(), "apiVersion": wrong}, "/apiVersion")


@pytest.mark.parametrize(
    "kind",
    [
        "deployment",
        "Deployment ",
        "DEPLOYMENT",
        "Ｄｅｐｌｏｙｍｅｎｔ",
        "",
        None,
        1,
        ["Deployment"],
        {},
    ],
)
def test_a03_a_kind_is_spelled_exactly(kind: Any) -> None:
    assert_refused({**create_deployment_manifest(), "kind": kind}, "/kind")


@pytest.mark.parametrize("kind", ["List", "DeploymentList", "ConfigMapList"])
def test_a04_a_list_is_no_manifest(kind: str) -> None:
    items = [create_config_map_manifest()]
    assert_refused({"apiVersion": "v1", "kind": kind, "items": items}, "/kind")


def test_a04_an_array_in_the_array_is_no_manifest() -> None:
    (fault,) = faults_of([[create_config_map_manifest()]])
    assert (fault.path, fault.fix) == ("/0", None)


@pytest.mark.parametrize(
    "kind",
    [
        "Pod",
        "DaemonSet",
        "StatefulSet",
        "ReplicaSet",
        "Secret",
        "RoleBinding",
        "Ingress",
        "IngressRoute",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Namespace",
        "ServiceAccount",
        "Certificate",
    ],
)
def test_a05_other_kinds_are_refused_and_not_looked_into(kind: str) -> None:
    assert_refused({"kind": kind, "metadata": None, "spec": {"hostNetwork": True}}, "/kind")


@pytest.mark.parametrize(
    ("manifest", "pointer"),
    [
        (create_deployment_manifest(replica=1), "/spec/replica"),
        (
            create_deployment_manifest(pod={"evictionResponders": []}),
            f"{POD_AT}/evictionResponders",
        ),
        (create_config_map_manifest(spec={}), "/spec"),
        (create_service_manifest(topologyKeys=["*"]), "/spec/topologyKeys"),
        (create_service_manifest(ipFamilyPolicy="RequireDualStack"), "/spec/ipFamilyPolicy"),
        (create_service_manifest(ipFamilies=["IPv6"]), "/spec/ipFamilies"),
        (create_cron_job_manifest(job={"schedule": "@daily"}), "/spec/jobTemplate/spec/schedule"),
        (
            create_job_manifest(pod={"containers": [create_container(envs=[])]}),
            f"{POD_AT}/containers/0/envs",
        ),
        (
            create_job_manifest(pod={"volumes": [{"name": "a", "emptyDir": {"a/~b": 1}}]}),
            f"{POD_AT}/volumes/0/emptyDir/a~1~0b",
        ),
    ],
)
def test_a15_unknown_fields_are_refused(manifest: Manifest, pointer: str) -> None:
    assert_mended(manifest, pointer)


def test_a15_a_misspelled_field_is_recognised() -> None:
    (fault,) = faults_of(create_deployment_manifest(pod={"node_selectors": {}}))
    assert fault.message.endswith("perhaps nodeSelector is meant.")


def test_a15_a_long_name_is_not_shown_in_full() -> None:
    (fault,) = faults_of({**create_config_map_manifest(), "x" * 65: 1})
    assert (fault.path, fault.fix) == ("", None)
    assert "x" * 64 not in fault.message


@pytest.mark.parametrize("spec", [[], "x", 1, True, 1.5])
@pytest.mark.parametrize("build", [create_deployment_manifest, create_service_manifest])
def test_a16_a_spec_is_an_object(build: Any, spec: Any) -> None:
    assert_refused({**build(), "spec": spec}, "/spec")


def test_a16_a_null_spec_is_as_good_as_none() -> None:
    null, absent = faults_of({**create_deployment_manifest(), "spec": None})
    assert (null.path, absent.path) == ("/spec", "/spec")
    assert null.fix is not None
    assert absent.fix is None


@pytest.mark.parametrize(
    ("field", "wrong", "mended"),
    [
        ("replicas", "1", 1),
        ("replicas", 1.0, 1),
        ("paused", "False", False),
        ("paused", None, None),
        ("minReadySeconds", "-0", 0),
    ],
)
def test_a16_what_is_plainly_meant_is_the_fix(field: str, wrong: Any, mended: Any) -> None:
    manifest = create_deployment_manifest()
    manifest["spec"][field] = wrong
    assert_mended(manifest, f"/spec/{field}")
    (fault,) = faults_of(manifest)
    assert fault.fix is not None
    assert fault.fix[0].get("value") == mended


@pytest.mark.parametrize(
    ("manifest", "pointer"),
    [
        (create_deployment_manifest(replicas=True), "/spec/replicas"),
        (create_deployment_manifest(replicas="one"), "/spec/replicas"),
        (create_deployment_manifest(replicas=1.5), "/spec/replicas"),
        (create_deployment_manifest(replicas=[1]), "/spec/replicas"),
        (create_deployment_manifest(replicas=1 << 31), "/spec/replicas"),
        (create_deployment_manifest(replicas=float("nan")), "/spec/replicas"),
        (create_deployment_manifest(replicas=10**5000), "/spec/replicas"),
        (create_deployment_manifest(paused=1), "/spec/paused"),
        (create_deployment_manifest(template=[]), "/spec/template"),
        (create_deployment_manifest(template={"metadata": {"labels": {"app": "web"}}}), POD_AT),
        (create_deployment_manifest(pod={"containers": {}}), f"{POD_AT}/containers"),
        (create_deployment_manifest(pod={"containers": [1]}), f"{POD_AT}/containers/0"),
        (create_deployment_manifest(pod={"containers": "web"}), f"{POD_AT}/containers"),
        (create_config_map_manifest(data=[]), "/data"),
        (create_config_map_manifest(data={"a": {"b": 1}}), "/data/a"),
        (create_config_map_manifest(data={"a": float("inf")}), "/data/a"),
        (create_service_manifest(selector=[]), "/spec/selector"),
        (create_service_manifest(ports={"port": 80}), "/spec/ports"),
        (
            create_service_manifest(ports=[{"port": 80, "appProtocol": "a b"}]),
            "/spec/ports/0/appProtocol",
        ),
    ],
)
def test_a16_wrong_types_are_refused(manifest: Manifest, pointer: str) -> None:
    assert_refused(manifest, pointer)


@pytest.mark.parametrize(
    ("manifest", "pointer", "mended"),
    [
        (create_config_map_manifest(data={"port": 8080}), "/data/port", "8080"),
        (create_config_map_manifest(data={"on": True}), "/data/on", "true"),
        (create_config_map_manifest(data={"ratio": 0.5}), "/data/ratio", "0.5"),
        (
            create_deployment_manifest(
                pod={"containers": [create_container(env=[{"name": "PORT", "value": 8080}])]}
            ),
            f"{POD_AT}/containers/0/env/0/value",
            "8080",
        ),
        (
            create_deployment_manifest(pod={"containers": [create_container(args=["-p", 80])]}),
            f"{POD_AT}/containers/0/args/1",
            "80",
        ),
        (
            create_deployment_manifest(
                pod={"containers": [create_container(imagePullPolicy="always")]}
            ),
            f"{POD_AT}/containers/0/imagePullPolicy",
            "Always",
        ),
    ],
)
def test_a16_a_number_among_strings_is_put_into_quotes(
    manifest: Manifest, pointer: str, mended: str
) -> None:
    assert_mended(manifest, pointer)
    (fault,) = faults_of(manifest)
    assert fault.fix == ({"op": "replace", "path": pointer, "value": mended},)


@pytest.mark.parametrize(
    ("container", "where"),
    [
        ({"image": None}, "image"),
        ({"name": None}, "name"),
        ({"imagePullPolicy": "Sometimes"}, "imagePullPolicy"),
        ({"resources": {"limits": {"cpu": "NaN"}}}, "resources/limits/cpu"),
        ({"resources": {"limits": {"cpu": True}}}, "resources/limits/cpu"),
        ({"env": [{"value": "x"}]}, "env/0/name"),
        ({"env": [{"name": "A"}, {"name": "B"}, {"name": "A"}]}, "env/2"),
        ({"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]}, "ports/1"),
        ({"args": [None]}, "args/0"),
        ({"env": [None]}, "env/0"),
    ],
)
def test_a16_what_is_required_unique_and_of_its_words(container: Manifest, where: str) -> None:
    manifest = create_deployment_manifest(pod={"containers": [create_container(**container)]})
    assert_refused(manifest, f"{POD_AT}/containers/0/{where}")


def test_a16_a_list_is_of_a_size_that_can_be_read() -> None:
    manifest = create_deployment_manifest(pod={"containers": [{}] * (MOST_ITEMS + 1)})
    assert_refused(manifest, f"{POD_AT}/containers")


def test_a16_what_is_required_is_not_null() -> None:
    container = {**create_container(), "image": None}
    manifest = create_deployment_manifest(pod={"containers": [container]})
    assert_refused(manifest, f"{POD_AT}/containers/0/image")


def test_every_fault_is_told_at_once_and_in_order() -> None:
    manifest = create_deployment_manifest(
        replicas="many", pod={"hostNetwork": True, "nodeName": "n1"}, oops=1
    )
    manifest["metadata"]["namespace"] = "kube-system"
    paths = [fault.path for fault in faults_of([create_config_map_manifest(), manifest])]
    assert paths == [
        "/1/spec/replicas",
        f"/1{POD_AT}/nodeName",
        "/1/spec/oops",
        "/1/metadata/namespace",
        f"/1{POD_AT}/hostNetwork",
    ]


def test_what_is_under_a_wrong_type_is_told_once() -> None:
    manifest = create_deployment_manifest(pod={"securityContext": "strict"})
    assert [fault.path for fault in faults_of(manifest)] == [f"{POD_AT}/securityContext"]


# What the official client knows beside us: it is one version of Kubernetes ahead.
NEWER = {
    "V1PodSpec": {"evictionResponders"},
    "V1JobSpec": {"scheduling"},
    "V1VolumeMount": {"bindMountOptions"},
    "V1HTTPGetAction": {"protocol"},
    "V1GRPCAction": {"mode"},
    "V1ConfigMapVolumeSource": {"defaultUser"},
    "V1SecretVolumeSource": {"defaultUser"},
    "V1DownwardAPIVolumeSource": {"defaultUser"},
    "V1ProjectedVolumeSource": {"defaultUser"},
    "V1KeyToPath": {"user"},
    "V1DownwardAPIVolumeFile": {"user"},
    "V1EmptyDirVolumeSource": {"mode"},
}
_MODEL = re.compile(r"V1\w+")


def compare(shape: Any, type_name: str, seen: set[str]) -> None:
    """Assert that a shape has the fields of an official model, and theirs."""
    match = _MODEL.search(type_name)
    shape = vars(shape).get("shape", shape)
    if not isinstance(shape, Struct):
        assert shape is ANYTHING or not match, type_name
        return
    assert match, type_name
    if match[0] in seen:
        return
    seen.add(match[0])
    model = getattr(official, match[0])
    names = {json: python for python, json in model.attribute_map.items()}
    extra = {"status"} if match[0] == "V1ConfigMap" else set()
    assert shape.members.keys() - extra == names.keys() - NEWER.get(match[0], set()), match[0]
    for name in names.keys() & shape.members.keys():
        member = shape.members[name]
        if member.why_refused is None:
            compare(member.shape, model.openapi_types[names[name]], seen)


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.name)
def test_a15_every_field_that_kubernetes_has_is_known(kind: Any) -> None:
    compare(SHAPES[kind], f"V1{kind.name}", set())


def unread_members(shape: Any, at: tuple[str, ...], seen: set[int]) -> list[tuple[str, ...]]:
    """Return where a shape leaves a value to a rule."""
    shape = vars(shape).get("shape", shape)
    if not isinstance(shape, Struct) or id(shape) in seen:
        return []
    seen.add(id(shape))
    found = []
    for name, member in shape.members.items():
        if member.why_refused is None and member.shape is ANYTHING:
            found.append((*at, shape.name, name))
        found += unread_members(member.shape, at, seen)
    return found


UNREAD = sorted({each for shape in SHAPES.values() for each in unread_members(shape, (), set())})
PLACES: dict[str, tuple[Any, Any]] = {
    "ServiceSpec": (create_service_manifest, lambda m: m["spec"]),
    "ServicePort": (create_service_manifest, lambda m: m["spec"]["ports"][0]),
    "JobSpec": (create_job_manifest, lambda m: m["spec"]),
    "Volume": (
        lambda: create_job_manifest(pod={"volumes": [{"name": "v"}]}),
        lambda m: m["spec"]["template"]["spec"]["volumes"][0],
    ),
    "VolumeProjection": (
        lambda: create_job_manifest(
            pod={"volumes": [{"name": "v", "projected": {"sources": [{}]}}]}
        ),
        lambda m: m["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"][0],
    ),
    "EnvVarSource": (
        lambda: create_job_manifest(
            pod={"containers": [create_container(env=[{"name": "A", "valueFrom": {}}])]}
        ),
        lambda m: m["spec"]["template"]["spec"]["containers"][0]["env"][0]["valueFrom"],
    ),
}


@pytest.mark.parametrize(("shape", "name"), UNREAD)
@pytest.mark.parametrize("value", [{}, [], "", 0, False, {"a": [{}]}])
def test_what_no_shape_reads_a_rule_refuses(shape: str, name: str, value: Any) -> None:
    build, find = PLACES[shape]
    manifest = build()
    find(manifest)[name] = deepcopy(value)
    assert faults_of(manifest)


def test_only_five_kinds_have_shapes() -> None:
    assert {kind.name for kind in SHAPES} == {
        kinds.CONFIG_MAP.name,
        kinds.CRON_JOB.name,
        kinds.DEPLOYMENT.name,
        kinds.JOB.name,
        kinds.SERVICE.name,
    }


@pytest.mark.parametrize("key", ["ключ", "a b", "a" * 201, "a\n"])
def test_a_key_that_is_no_plain_name_is_quoted(key: str) -> None:
    (fault,) = faults_of(create_config_map_manifest(data={key: 5}))[:1]
    assert fault.message.startswith("The value of '")


def test_a_key_that_is_a_plain_name_is_not_quoted() -> None:
    (fault,) = faults_of(create_config_map_manifest(data={"colour": 5}))
    assert fault.message.startswith("colour must be ")
