"""What a manifest may say about itself, and what nobody but the cluster, or we, may say."""

from typing import Any

import pytest

from tests.manifests import (
    create_config_map_manifest,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
)
from tests.unit.domain.admission.requests import (
    NAMESPACE,
    Manifest,
    admitted,
    assert_mended,
    assert_refused,
    faults_of,
)

INDEXED = {"completionMode": "Indexed", "completions": 3}
SERVER_SET = {
    "creationTimestamp": "2026-11-24T09:00:00Z",
    "deletionGracePeriodSeconds": 30,
    "deletionTimestamp": "2026-11-24T09:00:00Z",
    "generation": 1,
    "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:data": None}}],
    "resourceVersion": "42",
    "selfLink": "/api/v1/namespaces/friend-alice/configmaps/settings",
    "uid": "0b8e9d4c-0000-4000-8000-000000000000",
}


def with_metadata(manifest: Manifest, **fields: Any) -> Manifest:
    manifest["metadata"].update(fields)
    return manifest


def deployment_with_template(**metadata: Any) -> Manifest:
    manifest = create_deployment_manifest()
    manifest["spec"]["template"]["metadata"].update(metadata)
    return manifest


def with_template_labels(**labels: Any) -> Manifest:
    return deployment_with_template(labels={"app": "web", **labels})


@pytest.mark.parametrize("namespace", ["kube-system", "", "friend-bob", "Friend-alice", 5, None])
def test_a01_a_namespace_is_the_friends_own(namespace: Any) -> None:
    manifest = with_metadata(create_config_map_manifest(), namespace=namespace)
    assert [fault.path for fault in faults_of(manifest)][-1] == "/metadata/namespace"
    if namespace != 5:
        assert_mended(manifest, "/metadata/namespace")


@pytest.mark.parametrize("fields", [{}, {"namespace": NAMESPACE}])
def test_a01_the_namespace_is_always_set(fields: Any) -> None:
    (sent,) = admitted(with_metadata(create_config_map_manifest(), **fields))
    assert sent["metadata"]["namespace"] == NAMESPACE


def test_a01_a_template_names_no_namespace() -> None:
    assert_mended(deployment_with_template(namespace="b"), "/spec/template/metadata/namespace")


def test_a06_a_generated_name_is_no_name() -> None:
    named = with_metadata(create_config_map_manifest(), generateName="settings-")
    assert_mended(named, "/metadata/generateName")
    nameless = {"kind": "ConfigMap", "metadata": {"generateName": "settings-"}}
    assert [fault.path for fault in faults_of(nameless)] == [
        "/metadata/generateName",
        "/metadata/name",
    ]


def test_a07_nobody_delays_the_end_of_an_object() -> None:
    finalizers = ["example.com/hold"]
    manifest = with_metadata(create_config_map_manifest(), finalizers=finalizers)
    assert_mended(manifest, "/metadata/finalizers")
    manifest = deployment_with_template(finalizers=finalizers)
    assert_mended(manifest, "/spec/template/metadata/finalizers")


def test_a08_an_object_has_no_owner() -> None:
    owners = [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": None}]
    manifest = with_metadata(create_config_map_manifest(), ownerReferences=owners)
    assert_mended(manifest, "/metadata/ownerReferences")
    manifest = deployment_with_template(ownerReferences=owners)
    assert_mended(manifest, "/spec/template/metadata/ownerReferences")


@pytest.mark.parametrize(
    "where", ["spec/jobTemplate/metadata", "spec/jobTemplate/spec/template/metadata"]
)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("namespace", "friend-bob"),
        ("generateName", "x-"),
        ("finalizers", ["example.com/hold"]),
        ("ownerReferences", [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}]),
        *SERVER_SET.items(),
    ],
)
def test_a01_a06_to_a09_what_a_cron_job_makes_is_held_to_the_same(
    where: str, field: str, value: Any
) -> None:
    manifest = create_cron_job_manifest()
    metadata = manifest
    for key in where.split("/"):
        metadata = metadata.setdefault(key, {})
    metadata[field] = value
    assert_mended(manifest, f"/{where}/{field}")


@pytest.mark.parametrize(("field", "value"), SERVER_SET.items())
def test_a09_what_the_server_sets_is_refused(field: str, value: Any) -> None:
    for kept in (value, None):
        manifest = with_metadata(create_config_map_manifest(), **{field: kept})
        assert_mended(manifest, f"/metadata/{field}")


@pytest.mark.parametrize("status", [{}, {"replicas": 1}, None])
def test_a09_a_status_is_refused(status: Any) -> None:
    assert_mended({**create_deployment_manifest(), "status": status}, "/status")


@pytest.mark.parametrize(
    "key",
    [
        "external-dns.alpha.kubernetes.io/hostname",
        "cert-manager.io/cluster-issuer",
        "traefik.ingress.kubernetes.io/router.entrypoints",
        "traefik.io/x",
        "reloader.stakater.com/auto",
        "service.beta.kubernetes.io/aws-load-balancer-type",
        "metallb.universe.tf/address-pool",
        "kubernetes.io/psp",
        "x.k8s.io/y",
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubectl.kubernetes.io/restartedAt",
        "sidecar.istio.io/inject",
        "linkerd.io/inject",
        "keel.sh/policy",
        "argocd.argoproj.io/sync-wave",
        "friends-api/digest",
        "container.apparmor.security.beta.kubernetes.io/web",
        "seccomp.security.alpha.kubernetes.io/pod",
        "app.kubernetes.io.evil.example/name",
        "APP.kubernetes.io/name",
        "a/b/c",
        "/name",
    ],
)
def test_a10_b03_annotations_go_by_an_allowlist(key: str) -> None:
    escaped = key.replace("/", "~1")
    manifest = with_metadata(create_service_manifest(), annotations={key: "x"})
    assert_mended(manifest, f"/metadata/annotations/{escaped}")
    manifest = deployment_with_template(annotations={key: "unconfined"})
    assert_mended(manifest, f"/spec/template/metadata/annotations/{escaped}")


def test_a10_harmless_annotations_pass() -> None:
    annotations = {"description": "What it is: text ✓", "app.kubernetes.io/owner": "Alice <3"}
    (sent,) = admitted(with_metadata(create_service_manifest(), annotations=annotations))
    assert sent["metadata"]["annotations"] == annotations


def test_a11_managed_by_may_name_anybody_but_us() -> None:
    label = "app.kubernetes.io/managed-by"
    assert not faults_of(with_metadata(create_config_map_manifest(), labels={label: "Helm"}))
    ours = with_metadata(create_config_map_manifest(), labels={label: "friends-api"})
    assert_mended(ours, "/metadata/labels/app.kubernetes.io~1managed-by")
    template = with_template_labels(**{label: "friends-api"})
    assert_mended(template, "/spec/template/metadata/labels/app.kubernetes.io~1managed-by")


def test_a10_a_checksum_that_restarts_pods_is_allowed() -> None:
    manifest = with_metadata(create_config_map_manifest(), annotations={"checksum/config": "1f"})
    assert not faults_of(manifest)


@pytest.mark.parametrize(
    "key",
    [
        "friends-api/friend",
        "friends-api/uid",
        "friends-api/anything",
        "Friends-API/uid",
        "kueue.x-k8s.io/queue-name",
        "sidecar.istio.io/inject",
        "linkerd.io/inject",
        "kuma.io/sidecar-injection",
        "argocd.argoproj.io/instance",
        "eks.amazonaws.com/fargate-profile",
        "azure.workload.identity/use",
        "aadpodidbinding",
        "admission.datadoghq.com/enabled",
        "app.kubernetes.io/created-by",
        "pod-template-hash",
        "pod-template-generation",
        "controller-revision-hash",
        "controller-uid",
        "job-name",
        "batch.kubernetes.io/job-name",
        "batch.kubernetes.io/controller-uid",
        "statefulset.kubernetes.io/pod-name",
        "pod-security.kubernetes.io/enforce",
        "kubernetes.io/metadata.name",
        "gateway.networking.k8s.io/gateway-name",
        "k8s.io/x",
        "K8S.IO/x",
    ],
)
def test_a11_reserved_labels_are_refused(key: str) -> None:
    escaped = key.replace("/", "~1")
    manifest = with_metadata(create_config_map_manifest(), labels={key: "x", "app": "web"})
    assert_mended(manifest, f"/metadata/labels/{escaped}")
    manifest = with_template_labels(**{key: "x"})
    assert_mended(manifest, f"/spec/template/metadata/labels/{escaped}")


def test_a11_reserved_labels_are_refused_in_what_a_cron_job_makes() -> None:
    manifest = create_cron_job_manifest()
    metadata = {"labels": {"job-name": "x"}}
    manifest["spec"]["jobTemplate"]["metadata"] = metadata
    assert_mended(manifest, "/spec/jobTemplate/metadata/labels/job-name")
    manifest = create_cron_job_manifest()
    manifest["spec"]["jobTemplate"]["spec"]["template"]["metadata"] = metadata
    assert_mended(manifest, "/spec/jobTemplate/spec/template/metadata/labels/job-name")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", "x"),
        ("-a", "x"),
        ("a b", "x"),
        ("a" * 64, "x"),
        ("/a", "x"),
        ("UPPER.example/a", "x"),
        ("a", "x y"),
        ("a", "-"),
        ("a", "x" * 64),
        ("a", "x\n"),
        ("a", "ｘ"),
    ],
)
def test_a11_malformed_labels_are_refused(key: str, value: str) -> None:
    manifest = with_metadata(create_config_map_manifest(), labels={key: value})
    assert_refused(manifest, f"/metadata/labels/{key.replace('/', '~1')}")


def test_a11_usual_labels_pass() -> None:
    labels = {
        "app": "web",
        "app.kubernetes.io/name": "web",
        "app.kubernetes.io/part-of": "shop",
        "helm.sh/chart": "web-1.0.0",
        "example.com/empty": "",
    }
    (sent,) = admitted(with_metadata(create_config_map_manifest(), labels=labels))
    assert sent["metadata"]["labels"] == labels


@pytest.mark.parametrize("key", ["friends-api/uid", "pod-template-hash", "k8s.io/x"])
def test_a12_a_selector_looks_at_no_reserved_label(key: str) -> None:
    escaped = key.replace("/", "~1")
    manifest = create_service_manifest(selector={key: "x"})
    assert_refused(manifest, f"/spec/selector/{escaped}")
    selector = {"matchLabels": {"app": "web", key: "x"}}
    manifest = create_deployment_manifest(selector=selector)
    assert_refused(manifest, f"/spec/selector/matchLabels/{escaped}")
    expressions = [{"key": key, "operator": "Exists"}]
    manifest = create_deployment_manifest(selector={"matchExpressions": expressions})
    assert_refused(manifest, "/spec/selector/matchExpressions/0/key")


def test_a12_a_fix_gives_the_pods_the_labels_that_are_looked_for() -> None:
    assert "tier" in fixes_for("tier")


@pytest.mark.parametrize("key", ["pod-template-hash", "k8s.io/x", f"example.com/{'k' * 60}"])
def test_a12_a_fix_adds_no_label_that_is_reserved_or_long(key: str) -> None:
    fixes = fixes_for(key)
    assert key not in fixes
    assert key.replace("/", "~1") not in fixes


def test_a12_a_fix_looks_for_no_label_that_is_reserved() -> None:
    manifest = with_template_labels(**{"pod-template-hash": "x"})
    del manifest["spec"]["selector"]
    (fault,) = (each for each in faults_of(manifest) if each.path == "/spec/selector")
    assert "pod-template-hash" not in str(fault.fix)


def fixes_for(key: str) -> str:
    selector = {"matchLabels": {"app": "web", key: "x"}}
    faults = faults_of(create_deployment_manifest(selector=selector))
    assert faults
    return str([fault.fix for fault in faults])


@pytest.mark.parametrize("selector", [None, {}, {"matchLabels": {}}, {"matchExpressions": []}])
def test_a12_a_deployment_selects_its_own_pods(selector: Any) -> None:
    assert_mended(create_deployment_manifest(selector=selector), "/spec/selector")


@pytest.mark.parametrize(
    "template",
    [
        {},
        {"metadata": {}},
        {"metadata": {"labels": {}}},
        {"metadata": {"labels": {"app": "other"}}},
        {"metadata": {"labels": {"tier": "front"}, "name": "web"}},
    ],
)
def test_a12_a_selector_that_misses_is_mended_by_labels(template: Any) -> None:
    manifest = create_deployment_manifest()
    spec = manifest["spec"]["template"]["spec"]
    manifest["spec"]["template"] = {**template, "spec": spec}
    assert_mended(manifest, "/spec/selector")


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ({"key": "app", "operator": "In", "values": ["web", "api"]}, True),
        ({"key": "app", "operator": "In", "values": ["api"]}, False),
        ({"key": "app", "operator": "NotIn", "values": ["api"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "tier", "operator": "Exists"}, False),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
    ],
)
def test_a12_expressions_must_hold_too(expression: Any, holds: bool) -> None:
    manifest = create_deployment_manifest(selector={"matchExpressions": [expression]})
    if holds:
        assert admitted(manifest)
    else:
        assert_refused(manifest, "/spec/selector")


@pytest.mark.parametrize(
    "expression",
    [
        {"key": "a b", "operator": "Exists"},
        {"key": "app", "operator": "In"},
        {"key": "app", "operator": "In", "values": ["a b"]},
        {"key": "app", "operator": "Exists", "values": ["web"]},
    ],
)
def test_a12_expressions_are_well_formed(expression: Any) -> None:
    manifest = create_deployment_manifest(selector={"matchExpressions": [expression]})
    assert_refused(manifest, "/spec/selector/matchExpressions/0")


def test_a12_a_selector_of_malformed_labels_has_no_fix() -> None:
    manifest = create_deployment_manifest(selector={"matchLabels": {"app": "w e b"}})
    faults = faults_of(manifest)
    assert [fault.path for fault in faults] == ["/spec/selector/matchLabels/app", "/spec/selector"]
    assert [fault.fix for fault in faults] == [None, None]


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (create_config_map_manifest, "kube-root-ca.crt"),
        (create_config_map_manifest, "friends-api-settings"),
        (create_service_manifest, "friends-api-web"),
        (create_deployment_manifest, "friends-api-web"),
    ],
)
def test_a13_c04_names_of_the_provisioner_are_reserved(build: Any, name: str) -> None:
    assert_refused(build(name), "/metadata/name")


def test_a13_other_names_are_free() -> None:
    assert admitted(create_service_manifest("default"))
    assert admitted(create_deployment_manifest("friends-apix"))


@pytest.mark.parametrize(
    ("build", "longest"),
    [
        (create_config_map_manifest, 253),
        (create_cron_job_manifest, 52),
        (create_deployment_manifest, 63),
        (create_job_manifest, 63),
        (create_service_manifest, 63),
    ],
)
def test_names_are_as_long_as_their_pods_labels_allow(build: Any, longest: int) -> None:
    assert admitted(with_metadata(build(), name="a" * longest))
    assert_refused(with_metadata(build(), name="a" * (longest + 1)), "/metadata/name")


@pytest.mark.parametrize(
    ("build", "fields", "longest"),
    [(create_job_manifest, INDEXED, 60), (create_cron_job_manifest, {"job": INDEXED}, 49)],
)
def test_the_names_of_an_indexed_jobs_pods_are_names_of_hosts(
    build: Any, fields: Any, longest: int
) -> None:
    assert admitted(build("a" * longest, **fields))
    assert_refused(build("a" * (longest + 1), **fields), "/metadata/name")
    assert_refused(build("a.b", **fields), "/metadata/name")


@pytest.mark.parametrize(
    "name", ["", "Web", "-web", "web-", "web_1", "a..b", "wéb", "web\n", "a/b"]
)
@pytest.mark.parametrize("build", [create_config_map_manifest, create_job_manifest])
def test_names_are_dns_names(build: Any, name: str) -> None:
    assert_refused(build(name), "/metadata/name")


@pytest.mark.parametrize("name", ["1web", "a.b", "Web"])
def test_a_services_name_starts_with_a_letter(name: str) -> None:
    assert_refused(with_metadata(create_service_manifest(), name=name), "/metadata/name")


@pytest.mark.parametrize("metadata", [None, {}])
def test_metadata_is_required(metadata: Any) -> None:
    manifest: Manifest = {"kind": "ConfigMap"}
    pointer = "/metadata"
    if metadata is not None:
        manifest["metadata"], pointer = metadata, "/metadata/name"
    assert_refused(manifest, pointer)
