"""The rules of a pod spec, in every kind of workload; what a fix can mend, it mends."""

from typing import Any

import pytest

from chalicelib.domain.admission import admit
from chalicelib.domain.errors import Refused
from chalicelib.domain.tiers import TIERS
from tests.manifests import create_container, create_deployment_manifest, create_job_manifest
from tests.unit.domain.admission.requests import (
    WORKLOADS,
    Manifest,
    admitted,
    assert_mended,
    assert_refused,
    faults_of,
)

POD_AT = "/spec/template/spec"
CONTAINER_AT = f"{POD_AT}/containers/0"

in_every_workload = pytest.mark.parametrize(("build", "at"), WORKLOADS)


def with_container(**fields: Any) -> Manifest:
    return create_deployment_manifest(pod={"containers": [create_container(**fields)]})


def with_init_container(**fields: Any) -> Manifest:
    container = create_container(**{"name": "init", **fields})
    return create_deployment_manifest(pod={"initContainers": [container]})


def with_volume(**source: Any) -> Manifest:
    return create_deployment_manifest(pod={"volumes": [{"name": "data", **source}]})


@in_every_workload
@pytest.mark.parametrize("field", ["hostNetwork", "hostPID", "hostIPC"])
def test_b01_a_pod_shares_nothing_with_its_node(build: Any, at: str, field: str) -> None:
    assert_mended(build(pod={field: True}), f"{at}/{field}")
    assert admitted(build(pod={field: False}))


@in_every_workload
@pytest.mark.parametrize("field", ["containers", "initContainers"])
@pytest.mark.parametrize("name", ["hostPort", "hostIP"])
def test_b01_a_container_opens_no_port_of_its_node(
    build: Any, at: str, field: str, name: str
) -> None:
    port = {"containerPort": 80, name: 80 if name == "hostPort" else "0.0.0.0"}  # noqa: S104
    manifest = build(pod={field: [create_container(name="c", ports=[port])]})
    assert_mended(manifest, f"{at}/{field}/0/ports/0/{name}")


@in_every_workload
def test_b01_host_paths_are_refused_and_host_aliases_are_not(build: Any, at: str) -> None:
    volumes = [{"name": "root", "hostPath": {"path": "/"}}]
    assert_refused(build(pod={"volumes": volumes}), f"{at}/volumes/0")
    aliases = [{"ip": "203.0.113.9", "hostnames": ["db.example.net"]}, {"ip": "2001:db8::1"}]
    assert admitted(build(pod={"hostAliases": aliases}))


@pytest.mark.parametrize(
    ("alias", "where"),
    [
        ({"ip": "db", "hostnames": ["a"]}, "ip"),
        ({"ip": "fe80::1%eth0", "hostnames": ["a"]}, "ip"),
        ({"ip": "10.0.0.1", "hostnames": ["a b"]}, "hostnames"),
        ({"hostnames": ["a"]}, "ip"),
    ],
)
def test_b01_host_aliases_are_addresses_and_names(alias: Any, where: str) -> None:
    manifest = create_deployment_manifest(pod={"hostAliases": [alias]})
    assert_refused(manifest, f"{POD_AT}/hostAliases/0/{where}")


@in_every_workload
@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe", "startupProbe"])
@pytest.mark.parametrize("handler", ["httpGet", "tcpSocket"])
def test_b06_the_kubelet_asks_no_other_host(build: Any, at: str, probe: str, handler: str) -> None:
    for host in ("169.254.169.254", ""):
        container = create_container(**{probe: {handler: {"port": 80, "host": host}}})
        manifest = build(pod={"containers": [container]})
        assert_mended(manifest, f"{at}/containers/0/{probe}/{handler}/host")


@in_every_workload
@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe", "startupProbe"])
@pytest.mark.parametrize("handler", ["httpGet", "tcpSocket"])
def test_b06_nor_does_it_for_a_sidecar(build: Any, at: str, probe: str, handler: str) -> None:
    probing = {probe: {handler: {"port": 80, "host": "169.254.169.254"}}}
    sidecar = create_container(name="init", restartPolicy="Always", **probing)
    manifest = build(pod={"initContainers": [sidecar]})
    assert_mended(manifest, f"{at}/initContainers/0/{probe}/{handler}/host")


@pytest.mark.parametrize("hook", ["postStart", "preStop"])
@pytest.mark.parametrize("handler", ["httpGet", "tcpSocket"])
def test_b06_hooks_ask_no_other_host(hook: str, handler: str) -> None:
    manifest = with_container(lifecycle={hook: {handler: {"port": 80, "host": "10.0.0.1"}}})
    assert_mended(manifest, f"{CONTAINER_AT}/lifecycle/{hook}/{handler}/host")
    sidecar = {"restartPolicy": "Always", "lifecycle": {hook: {handler: {"port": 1, "host": "x"}}}}
    pointer = f"{POD_AT}/initContainers/0/lifecycle/{hook}/{handler}/host"
    assert_mended(with_init_container(**sidecar), pointer)


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe", "startupProbe"])
@pytest.mark.parametrize(
    ("figure", "least", "most"),
    [
        ("initialDelaySeconds", 0, 3600),
        ("periodSeconds", 1, 3600),
        ("timeoutSeconds", 1, 3600),
        ("failureThreshold", 1, 1000),
        ("successThreshold", 1, 1000),
    ],
)
def test_b06_a_probes_figures_have_bounds(probe: str, figure: str, least: int, most: int) -> None:
    if figure == "successThreshold" and probe != "readinessProbe":
        most = 1
    for value in (least, most):
        probing = {probe: {"tcpSocket": {"port": 80}, figure: value}}
        assert faults_of(with_container(**probing)) == ()
    for value in (least - 1, most + 1):
        probing = {probe: {"tcpSocket": {"port": 80}, figure: value}}
        assert_mended(with_container(**probing), f"{CONTAINER_AT}/{probe}/{figure}")


@in_every_workload
def test_b07_a_pod_has_no_identity_in_the_cluster(build: Any, at: str) -> None:
    for field in ("serviceAccountName", "serviceAccount"):
        assert_mended(build(pod={field: "admin"}), f"{at}/{field}")
        assert admitted(build(pod={field: "default"}))
    pod = {"automountServiceAccountToken": True}
    assert_mended(build(pod=pod), f"{at}/automountServiceAccountToken")


@in_every_workload
def test_b07_pods_are_sent_without_a_token(build: Any, at: str) -> None:
    (sent,) = admitted(build(pod={"automountServiceAccountToken": None}))
    for key in at.split("/")[1:]:
        sent = sent[key]
    assert sent["automountServiceAccountToken"] is False


@in_every_workload
@pytest.mark.parametrize("source", ["serviceAccountToken", "clusterTrustBundle", "podCertificate"])
def test_b07_tokens_and_certificates_are_not_projected(build: Any, at: str, source: str) -> None:
    sources: list[Any] = [{"configMap": {"name": "a"}}, {source: {"path": "token"}}]
    volumes = [{"name": "v", "projected": {"sources": sources}}]
    assert_refused(build(pod={"volumes": volumes}), f"{at}/volumes/0/projected/sources/1")


@in_every_workload
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nodeName", "node-1"),
        ("nodeSelector", {"disk": "ssd"}),
        ("tolerations", [{"operator": "Exists"}]),
        ("priorityClassName", "system-node-critical"),
        ("priority", 2_000_000_000),
        ("preemptionPolicy", "PreemptLowerPriority"),
        ("runtimeClassName", "kata"),
        ("schedulerName", "mine"),
        ("schedulingGates", [{"name": "example.com/wait"}]),
        ("schedulingGroup", {"podGroupName": "x"}),
        ("resourceClaims", [{"name": "gpu"}]),
        ("overhead", {"cpu": "1"}),
        ("resources", {"limits": {"cpu": "1"}}),
        ("readinessGates", [{"conditionType": "example.com/ready"}]),
        ("hostnameOverride", "node-1"),
        ("affinity", {"nodeAffinity": {}}),
    ],
)
def test_b08_the_cluster_chooses_where_a_pod_runs(
    build: Any, at: str, field: str, value: Any
) -> None:
    pointer = f"{at}/{field}/nodeAffinity" if field == "affinity" else f"{at}/{field}"
    assert_mended(build(pod={field: value}), pointer)


def test_b08_the_default_scheduler_may_be_named() -> None:
    assert admitted(create_deployment_manifest(pod={"schedulerName": "default-scheduler"}))


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@in_every_workload
@pytest.mark.parametrize("affinity", ["podAffinity", "podAntiAffinity"])
@pytest.mark.parametrize(
    ("field", "value"), [("namespaces", ["friend-bob"]), ("namespaceSelector", {})]
)
def test_b09_pods_look_at_no_other_namespace(
    build: Any, at: str, affinity: str, field: str, value: Any
) -> None:
    term = {"topologyKey": "kubernetes.io/hostname", field: value}
    pod = {"affinity": {affinity: {REQUIRED: [term]}}}
    assert_mended(build(pod=pod), f"{at}/affinity/{affinity}/{REQUIRED}/0/{field}")
    pod = {"affinity": {affinity: {PREFERRED: [{"weight": 1, "podAffinityTerm": term}]}}}
    pointer = f"{at}/affinity/{affinity}/{PREFERRED}/0/podAffinityTerm/{field}"
    assert_mended(build(pod=pod), pointer)


def test_b09_pods_may_look_at_each_other() -> None:
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "matchLabelKeys": ["pod-template-hash"],
        "mismatchLabelKeys": ["tier"],
    }
    spread = {
        "maxSkew": 1,
        "minDomains": 2,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
        "nodeTaintsPolicy": "Honor",
    }
    anti = {PREFERRED: [{"weight": 100, "podAffinityTerm": term}], REQUIRED: [term]}
    pod = {"affinity": {"podAntiAffinity": anti}, "topologySpreadConstraints": [spread]}
    assert admitted(create_deployment_manifest(pod=pod))


@pytest.mark.parametrize(
    ("term", "where", "is_mended"),
    [
        ({"topologyKey": ""}, "topologyKey", False),
        ({}, "topologyKey", False),
        ({"topologyKey": "a", "matchLabelKeys": ["x"]}, "matchLabelKeys", True),
        ({"topologyKey": "a", "mismatchLabelKeys": ["x"]}, "mismatchLabelKeys", True),
        (
            {"topologyKey": "a", "labelSelector": {}, "matchLabelKeys": ["a b"]},
            "matchLabelKeys",
            False,
        ),
        (
            {
                "topologyKey": "a",
                "labelSelector": {"matchLabels": {"x": "1"}},
                "matchLabelKeys": ["x"],
            },
            "matchLabelKeys",
            False,
        ),
        (
            {
                "topologyKey": "a",
                "labelSelector": {},
                "matchLabelKeys": ["x"],
                "mismatchLabelKeys": ["x"],
            },
            "matchLabelKeys",
            False,
        ),
        (
            {"topologyKey": "a", "labelSelector": {"matchLabels": {"x": "a b"}}},
            "labelSelector/matchLabels/x",
            False,
        ),
        (
            {"topologyKey": "a", "labelSelector": {"matchLabels": {"a b": "x"}}},
            "labelSelector/matchLabels/a b",
            False,
        ),
    ],
)
@pytest.mark.parametrize("affinity", ["podAffinity", "podAntiAffinity"])
def test_b09_affinity_terms_are_well_formed(
    term: Any, where: str, is_mended: bool, affinity: str
) -> None:
    pod = {"affinity": {affinity: {REQUIRED: [term]}}}
    check = assert_mended if is_mended else assert_refused
    pointer = f"{POD_AT}/affinity/{affinity}/{REQUIRED}/0/{where}"
    check(create_deployment_manifest(pod=pod), pointer)


@pytest.mark.parametrize("weight", [0, 101, -1])
@pytest.mark.parametrize("affinity", ["podAffinity", "podAntiAffinity"])
def test_b09_a_preference_has_a_weight(affinity: str, weight: int) -> None:
    preferred = {"weight": weight, "podAffinityTerm": {"topologyKey": "zone"}}
    pod = {"affinity": {affinity: {PREFERRED: [preferred]}}}
    pointer = f"{POD_AT}/affinity/{affinity}/{PREFERRED}/0/weight"
    assert_mended(create_deployment_manifest(pod=pod), pointer)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"maxSkew": 0}, "maxSkew"),
        ({"minDomains": 0}, "minDomains"),
        ({"minDomains": 1, "whenUnsatisfiable": "ScheduleAnyway"}, "minDomains"),
    ],
)
def test_b09_spread_constraints_are_well_formed(fields: Any, where: str) -> None:
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", **fields}
    manifest = create_deployment_manifest(pod={"topologySpreadConstraints": [spread]})
    assert_mended(manifest, f"{POD_AT}/topologySpreadConstraints/0/{where}")


@in_every_workload
@pytest.mark.parametrize("seconds", [301, 1_000_000_000, -1])
def test_b10_a_pod_ends_soon(build: Any, at: str, seconds: int) -> None:
    field = "terminationGracePeriodSeconds"
    assert_mended(build(pod={field: seconds}), f"{at}/{field}")
    assert admitted(build(pod={field: 300}))
    container = create_container(livenessProbe={"grpc": {"port": 1}, field: max(seconds, 0)})
    pointer = f"{at}/containers/0/livenessProbe/{field}"
    assert_mended(build(pod={"containers": [container]}), pointer)


@in_every_workload
@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("csi", {"driver": "x"}),
        ("ephemeral", {"volumeClaimTemplate": {"spec": {}}}),
        ("persistentVolumeClaim", {"claimName": "data"}),
        ("image", {"reference": "nginx"}),
        ("nfs", {"server": "10.0.0.1", "path": "/"}),
        ("hostPath", {"path": "/var/run/docker.sock"}),
        ("gitRepo", {"repository": "https://example.net/x"}),
        ("iscsi", {}),
        ("glusterfs", None),
    ],
)
def test_b11_volumes_are_of_an_allowed_kind(build: Any, at: str, source: str, value: Any) -> None:
    manifest = build(pod={"volumes": [{"name": "v", source: value}]})
    faults = faults_of(manifest)
    assert faults[-1].path == f"{at}/volumes/0"
    assert len(faults) == (2 if value is None else 1)


@in_every_workload
def test_b11_memory_is_given_in_bounds(build: Any, at: str) -> None:
    for limit in (None, "0", "-1Mi"):
        source = {"medium": "Memory"} | ({"sizeLimit": limit} if limit else {})
        manifest = build(pod={"volumes": [{"name": "v", "emptyDir": source}]})
        assert_refused(manifest, f"{at}/volumes/0/emptyDir/sizeLimit")
    source = {"medium": "Memory", "sizeLimit": "16Mi"}
    assert admitted(build(pod={"volumes": [{"name": "v", "emptyDir": source}]}))


@pytest.mark.case("K4")
@pytest.mark.parametrize(
    ("limit", "meant"),
    [
        ("200m", "200Mi"),
        (256, "256Mi"),
        ("0.5", "512Mi"),
        (1, "1Gi"),
        ("64Ki", "64Mi"),
        ("1000000", "1Mi"),
    ],
)
def test_b11_the_size_of_an_empty_dir_gets_the_unit_that_was_meant(limit: Any, meant: str) -> None:
    for medium in ({}, {"medium": "Memory"}):
        manifest = with_volume(emptyDir={**medium, "sizeLimit": limit})
        pointer = f"{POD_AT}/volumes/0/emptyDir/sizeLimit"
        assert_mended(manifest, pointer)
        (fault,) = faults_of(manifest)
        assert fault.fix == ({"op": "add", "path": pointer, "value": meant},)


@pytest.mark.parametrize("medium", ["HugePages", "memory", "Disk"])
def test_b11_other_media_are_refused(medium: str) -> None:
    assert_refused(with_volume(emptyDir={"medium": medium}), f"{POD_AT}/volumes/0/emptyDir/medium")


@in_every_workload
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ephemeralContainers", [{"name": "debug", "securityContext": {"privileged": True}}]),
        ("shareProcessNamespace", True),
        ("hostUsers", True),
        ("hostUsers", False),
    ],
)
def test_b12_nobody_looks_into_a_pod(build: Any, at: str, field: str, value: Any) -> None:
    assert_mended(build(pod={field: value}), f"{at}/{field}")


OURS = "friends-api-tokens"


@pytest.mark.parametrize(
    ("volume", "where"),
    [
        ({"secret": {"secretName": OURS}}, "secret/secretName"),
        (
            {"projected": {"sources": [{"secret": {"name": OURS}}]}},
            "projected/sources/0/secret/name",
        ),
    ],
)
@in_every_workload
def test_b13_secrets_of_ours_are_not_mounted(build: Any, at: str, volume: Any, where: str) -> None:
    manifest = build(pod={"volumes": [{"name": "v", **volume}]})
    assert_refused(manifest, f"{at}/volumes/0/{where}")


@in_every_workload
def test_b13_secrets_of_ours_are_not_read(build: Any, at: str) -> None:
    reference = {"name": OURS, "key": "token"}
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": reference}}]
    manifest = build(pod={"containers": [create_container(env=env)]})
    assert_refused(manifest, f"{at}/containers/0/env/0/valueFrom/secretKeyRef/name")
    manifest = build(
        pod={"containers": [create_container(envFrom=[{"secretRef": {"name": OURS}}])]}
    )
    assert_refused(manifest, f"{at}/containers/0/envFrom/0/secretRef/name")
    manifest = build(pod={"imagePullSecrets": [{"name": OURS}]})
    assert_refused(manifest, f"{at}/imagePullSecrets/0/name")


def test_b13_the_clusters_own_certificate_may_be_read() -> None:
    assert admitted(with_volume(configMap={"name": "kube-root-ca.crt"}))


@pytest.mark.parametrize(
    "limits", [{"cpu": "1e6"}, {"cpu": "1e3"}, {"memory": "-1"}, {"memory": "-64Mi"}, {"cpu": 1e6}]
)
def test_b14_resources_are_what_a_friend_may_have(limits: Any) -> None:
    (name,) = limits
    manifest = with_container(resources={"limits": limits})
    assert_mended(manifest, f"{CONTAINER_AT}/resources/limits/{name}")


@pytest.mark.parametrize("amount", ["NaN", "1 Gi", "", "١", "inf", None, float("nan"), 1e400])
def test_b14_resources_are_quantities(amount: Any) -> None:
    manifest = with_container(resources={"limits": {"cpu": amount}})
    assert [fault.path for fault in faults_of(manifest)] == [f"{CONTAINER_AT}/resources/limits/cpu"]


def test_b14_resources_may_be_left_to_the_limit_range() -> None:
    assert admitted(with_container(resources=None))


@pytest.mark.parametrize(
    ("container", "where"),
    [
        ({"name": "Web"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"image": ""}, "image"),
        ({"image": " nginx"}, "image"),
        ({"image": "x" * 1025}, "image"),
        ({"ports": [{"containerPort": 0}]}, "ports/0/containerPort"),
        ({"ports": [{"containerPort": 65_536}]}, "ports/0/containerPort"),
        ({"ports": [{"containerPort": 1, "name": "Http"}]}, "ports/0/name"),
        ({"ports": [{"containerPort": 1, "name": "a" * 16}]}, "ports/0/name"),
        ({"ports": [{"containerPort": 1, "name": "123"}]}, "ports/0/name"),
        (
            {"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]},
            "ports/1/name",
        ),
        ({"env": [{"name": "A=B"}]}, "env/0/name"),
        ({"env": [{"name": ""}]}, "env/0/name"),
        ({"env": [{"name": "A", "valueFrom": {}}]}, "env/0/valueFrom"),
        (
            {
                "env": [
                    {
                        "name": "A",
                        "value": "x",
                        "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                    }
                ]
            },
            "env/0/valueFrom",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fileKeyRef": {"path": "x"}}}]},
            "env/0/valueFrom",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.containers"}}}]},
            "env/0/valueFrom/fieldRef/fieldPath",
        ),
        (
            {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {
                            "fieldRef": {"fieldPath": "metadata.uid", "apiVersion": "v2"}
                        },
                    }
                ]
            },
            "env/0/valueFrom/fieldRef/apiVersion",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}}]},
            "env/0/valueFrom/resourceFieldRef/resource",
        ),
        (
            {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {
                            "resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}
                        },
                    }
                ]
            },
            "env/0/valueFrom/resourceFieldRef/divisor",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "", "key": "k"}}}]},
            "env/0/valueFrom/configMapKeyRef/name",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a b"}}}]},
            "env/0/valueFrom/secretKeyRef/key",
        ),
        ({"envFrom": [{}]}, "envFrom/0"),
        ({"envFrom": [{"prefix": "a=", "configMapRef": {"name": "c"}}]}, "envFrom/0/prefix"),
        ({"envFrom": [{"configMapRef": {"name": "C"}}]}, "envFrom/0/configMapRef/name"),
        (
            {"envFrom": [{"configMapRef": {"name": "c"}, "secretRef": {"name": "s"}}]},
            "envFrom/0",
        ),
        ({"volumeMounts": [{"name": "nope", "mountPath": "/x"}]}, "volumeMounts/0/name"),
        ({"livenessProbe": {}}, "livenessProbe"),
        ({"livenessProbe": {"grpc": {"port": 0}}}, "livenessProbe/grpc/port"),
        ({"livenessProbe": {"httpGet": {"port": 0}}}, "livenessProbe/httpGet/port"),
        ({"lifecycle": {"postStart": {}}}, "lifecycle/postStart"),
        ({"lifecycle": {"postStart": {"exec": {}}}}, "lifecycle/postStart/exec/command"),
        ({"livenessProbe": {"tcpSocket": {"port": 0}}}, "livenessProbe/tcpSocket/port"),
        ({"livenessProbe": {"exec": {"command": []}}}, "livenessProbe/exec/command"),
        ({"livenessProbe": {"tcpSocket": {"port": "HTTP!"}}}, "livenessProbe/tcpSocket/port"),
        (
            {"readinessProbe": {"tcpSocket": {"port": 80}, "httpGet": {"port": 80}}},
            "readinessProbe",
        ),
        (
            {
                "startupProbe": {
                    "httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": ""}]}
                }
            },
            "startupProbe/httpGet/httpHeaders/0/name",
        ),
        ({"lifecycle": {"preStop": {}}}, "lifecycle/preStop"),
    ],
)
def test_containers_are_what_the_cluster_takes(container: Any, where: str) -> None:
    assert_refused(with_container(**container), f"{CONTAINER_AT}/{where}")


@pytest.mark.parametrize(
    ("container", "where"),
    [
        ({"volumeDevices": [{"name": "a", "devicePath": "/dev/a"}]}, "volumeDevices"),
        ({"restartPolicy": "Always"}, "restartPolicy"),
        ({"restartPolicyRules": []}, "restartPolicyRules"),
        ({"resizePolicy": []}, "resizePolicy"),
        ({"resources": {"claims": [{"name": "gpu"}]}}, "resources/claims"),
        ({"lifecycle": {"stopSignal": "SIGUSR1"}}, "lifecycle/stopSignal"),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}}, "lifecycle/preStop/sleep/seconds"),
        (
            {"livenessProbe": {"grpc": {"port": 1}, "successThreshold": 2}},
            "livenessProbe/successThreshold",
        ),
        (
            {"livenessProbe": {"grpc": {"port": 1}, "periodSeconds": 0}},
            "livenessProbe/periodSeconds",
        ),
        (
            {"readinessProbe": {"grpc": {"port": 1}, "terminationGracePeriodSeconds": 1}},
            "readinessProbe/terminationGracePeriodSeconds",
        ),
    ],
)
def test_what_a_container_need_not_say_is_left_out(container: Any, where: str) -> None:
    assert_mended(with_container(**container), f"{CONTAINER_AT}/{where}")


def test_there_is_a_container() -> None:
    assert_refused(create_deployment_manifest(pod={"containers": []}), f"{POD_AT}/containers")
    manifest = create_deployment_manifest(pod={"containers": None})
    assert {fault.path for fault in faults_of(manifest)} == {f"{POD_AT}/containers"}


def test_containers_have_names_of_their_own() -> None:
    manifest = create_deployment_manifest(
        pod={"initContainers": [create_container()], "containers": [create_container()]}
    )
    assert_refused(manifest, f"{POD_AT}/containers/0/name")


@pytest.mark.parametrize("field", ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"])
def test_an_init_container_comes_to_its_end(field: str) -> None:
    handler: Any = {"exec": {"command": ["true"]}}
    value = {"preStop": handler} if field == "lifecycle" else handler
    assert_mended(with_init_container(**{field: value}), f"{POD_AT}/initContainers/0/{field}")
    assert admitted(with_init_container(**{field: value, "restartPolicy": "Always"}))


def test_an_init_container_restarts_always_or_as_its_pod_does() -> None:
    manifest = with_init_container(restartPolicy="Never")
    assert_mended(manifest, f"{POD_AT}/initContainers/0/restartPolicy")


@pytest.mark.parametrize(
    ("mount", "where", "is_mended"),
    [
        ({"mountPath": ""}, "mountPath", False),
        ({"subPath": "../etc"}, "subPath", False),
        ({"subPath": "/etc"}, "subPath", False),
        ({"subPathExpr": "a/../b"}, "subPathExpr", False),
        ({"subPath": "a", "subPathExpr": "b"}, "subPathExpr", False),
        ({"mountPropagation": "Bidirectional"}, "mountPropagation", True),
        ({"recursiveReadOnly": "Enabled"}, "recursiveReadOnly", True),
    ],
)
def test_mounts_stay_inside(mount: Any, where: str, is_mended: bool) -> None:
    mounts = [{"name": "tmp", "mountPath": "/tmp", **mount}]  # noqa: S108 - inside a container
    pod = {
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "containers": [create_container(volumeMounts=mounts)],
    }
    check = assert_mended if is_mended else assert_refused
    check(create_deployment_manifest(pod=pod), f"{CONTAINER_AT}/volumeMounts/0/{where}")


@pytest.mark.parametrize(
    ("volume", "where"),
    [
        ({"name": "Data", "emptyDir": {}}, "/name"),
        ({}, ""),
        ({"emptyDir": {}, "configMap": {"name": "a"}}, ""),
        ({"configMap": {}}, "/configMap/name"),
        ({"configMap": {"name": "A"}}, "/configMap/name"),
        ({"secret": {"secretName": ""}}, "/secret/secretName"),
        (
            {"secret": {"secretName": "s", "items": [{"key": "k", "path": "../k"}]}},
            "/secret/items/0/path",
        ),
        (
            {"secret": {"secretName": "s", "items": [{"key": "k", "path": ""}]}},
            "/secret/items/0/path",
        ),
        (
            {"configMap": {"name": "c", "items": [{"key": "", "path": "k"}]}},
            "/configMap/items/0/key",
        ),
        ({"downwardAPI": {"items": [{"path": "a"}]}}, "/downwardAPI/items/0"),
        (
            {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "status.podIP"}}]}},
            "/downwardAPI/items/0/fieldRef/fieldPath",
        ),
        (
            {
                "downwardAPI": {
                    "items": [{"path": "a", "resourceFieldRef": {"resource": "limits.cpu"}}]
                }
            },
            "/downwardAPI/items/0/resourceFieldRef/containerName",
        ),
        ({"projected": {"sources": [{}]}}, "/projected/sources/0"),
        ({"emptyDir": {"sizeLimit": "0"}}, "/emptyDir/sizeLimit"),
        ({"emptyDir": {"sizeLimit": "-1Gi"}}, "/emptyDir/sizeLimit"),
        (
            {
                "projected": {
                    "sources": [
                        {"configMap": {"name": "a", "items": [{"key": "x", "path": "same"}]}},
                        {"secret": {"name": "b", "items": [{"key": "y", "path": "same"}]}},
                    ]
                }
            },
            "/projected/sources",
        ),
    ],
)
def test_volumes_are_what_the_cluster_takes(volume: Any, where: str) -> None:
    assert_refused(with_volume(**volume), f"{POD_AT}/volumes/0{where}")


@pytest.mark.parametrize("policy", ["Default", "ClusterFirstWithHostNet", "x"])
def test_names_are_not_resolved_by_the_node(policy: str) -> None:
    assert_mended(create_job_manifest(pod={"dnsPolicy": policy}), f"{POD_AT}/dnsPolicy")


@pytest.mark.parametrize(
    ("pod", "where"),
    [
        ({"dnsPolicy": "None"}, "nameservers"),
        ({"dnsConfig": {"nameservers": ["dns.example"]}}, "nameservers"),
        ({"dnsConfig": {"nameservers": ["1.1.1.1"] * 4}}, "nameservers"),
        ({"dnsConfig": {"searches": ["a b"]}}, "searches"),
        ({"dnsConfig": {"searches": ["a"] * 33}}, "searches"),
        ({"dnsConfig": {"options": [{"value": "1"}]}}, "options/0/name"),
    ],
)
def test_dns_is_what_the_cluster_takes(pod: Any, where: str) -> None:
    assert_refused(create_job_manifest(pod=pod), f"{POD_AT}/dnsConfig/{where}")


def test_dns_may_be_the_friends_own() -> None:
    config = {
        "nameservers": ["1.1.1.1", "2606:4700:4700::1111"],
        "searches": ["example.net.", ".", "_tcp.example.net"],
        "options": [{"name": "ndots", "value": "1"}],
    }
    assert admitted(create_job_manifest(pod={"dnsPolicy": "None", "dnsConfig": config}))


@pytest.mark.parametrize("field", ["hostname", "subdomain"])
def test_a_pods_own_name_is_a_dns_label(field: str) -> None:
    assert admitted(create_job_manifest(pod={field: "db-0", "setHostnameAsFQDN": True}))
    assert_refused(create_job_manifest(pod={field: "db.0"}), f"{POD_AT}/{field}")


def test_a_pod_may_have_a_deadline() -> None:
    assert admitted(create_job_manifest(pod={"activeDeadlineSeconds": 60}))
    manifest = create_job_manifest(pod={"activeDeadlineSeconds": 0})
    assert_mended(manifest, f"{POD_AT}/activeDeadlineSeconds")


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_deployments_pods_have_no_deadline(seconds: int) -> None:
    manifest = create_deployment_manifest(pod={"activeDeadlineSeconds": seconds})
    assert_mended(manifest, f"{POD_AT}/activeDeadlineSeconds")


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_b14_a_pod_has_so_many_containers_at_most(kind: str) -> None:
    tiny = {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "1m", "memory": "4Mi"}}
    many = [create_container(name=f"c{number}", resources=tiny) for number in range(17)]
    with pytest.raises(Refused) as refusal:
        admit(
            [("", create_deployment_manifest(pod={kind: many}))],
            friend_id="alice",
            tier=TIERS["default"],
            reserved_labels=(),
        )
    assert f"/spec/template/spec/{kind}" in [each.path for each in refusal.value.faults]
