"""The restricted Pod Security Standard: what breaks it, what mends that, what hardening adds."""

import json
from copy import deepcopy
from typing import Any

import pytest

from chalicelib.domain.admission.harden import harden_pod_spec, lacking_in_pod
from infra.local.kube_pod_security import describe_violations
from tests.manifests import create_container, create_deployment_manifest, create_pod_spec
from tests.unit.domain.admission.requests import (
    WORKLOADS,
    Manifest,
    admitted,
    assert_mended,
    assert_refused,
    faults_of,
    mended,
)

POD_AT = "/spec/template/spec"
SECURE = create_container()["securityContext"]
BARE = {"name": "web", "image": "nginx:1.27"}

in_every_workload = pytest.mark.parametrize(("build", "at"), WORKLOADS)
in_every_list = pytest.mark.parametrize("field", ["containers", "initContainers"])


def with_pod_security(**fields: Any) -> Manifest:
    context = {**create_pod_spec()["securityContext"], **fields}
    return create_deployment_manifest(pod={"securityContext": context})


def with_container_security(field: str = "containers", **security: Any) -> dict[str, Any]:
    container = create_container(name="c", securityContext={**SECURE, **security})
    return {field: [container]}


PRIVILEGES = [
    ({"privileged": True}, "privileged"),
    ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
    ({"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}, "capabilities/add"),
    ({"capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_RAW"]}}, "capabilities/add"),
    ({"capabilities": {"drop": ["all"]}}, "capabilities/drop"),
    ({"capabilities": {"drop": ["NET_RAW"]}}, "capabilities/drop"),
    ({"capabilities": {"drop": []}}, "capabilities/drop"),
    ({"capabilities": {}}, "capabilities/drop"),
    ({"capabilities": {"add": ["NET_BIND_SERVICE"]}}, "capabilities/drop"),
]
PROFILES = [
    ({"procMount": "Unmasked"}, "procMount"),
    ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile/type"),
    ({"seccompProfile": {"type": "Localhost"}}, "seccompProfile/type"),
    (
        {"seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/web.json"}},
        "seccompProfile/type",
    ),
    ({"appArmorProfile": {"type": "Unconfined"}}, "appArmorProfile/type"),
    (
        {"seccompProfile": {"type": "RuntimeDefault", "localhostProfile": "x.json"}},
        "seccompProfile/localhostProfile",
    ),
    ({"seLinuxOptions": {"user": "system_u"}}, "seLinuxOptions/user"),
    ({"seLinuxOptions": {"role": "system_r"}}, "seLinuxOptions/role"),
    ({"seLinuxOptions": {"type": "spc_t"}}, "seLinuxOptions/type"),
]
USERS = [
    ({"runAsUser": 0}, "runAsUser"),
    ({"runAsUser": -1}, "runAsUser"),
    ({"runAsGroup": 1 << 31}, "runAsGroup"),
    ({"runAsNonRoot": False}, "runAsNonRoot"),
]


@in_every_workload
@in_every_list
@pytest.mark.parametrize(("security", "where"), PRIVILEGES)
def test_b02_a_container_has_no_privileges(
    build: Any, at: str, field: str, security: Any, where: str
) -> None:
    manifest = build(pod=with_container_security(field, **security))
    assert_mended(manifest, f"{at}/{field}/0/securityContext/{where}")


@in_every_workload
@in_every_list
@pytest.mark.parametrize(("security", "where"), PROFILES)
def test_b03_a_container_is_confined(
    build: Any, at: str, field: str, security: Any, where: str
) -> None:
    manifest = build(pod=with_container_security(field, **security))
    assert_mended(manifest, f"{at}/{field}/0/securityContext/{where}")


@in_every_workload
@in_every_list
@pytest.mark.parametrize(("security", "where"), USERS)
def test_b04_a_container_is_not_root(
    build: Any, at: str, field: str, security: Any, where: str
) -> None:
    manifest = build(pod=with_container_security(field, **security))
    assert_mended(manifest, f"{at}/{field}/0/securityContext/{where}")


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", " x", "x\n", "x" * 4096])
def test_b03_a_profile_of_the_node_lies_where_profiles_are(path: str) -> None:
    profile = {"type": "Localhost", "localhostProfile": path}
    for name in ("seccompProfile", "appArmorProfile"):
        pointer = f"{POD_AT}/securityContext/{name}/type"
        assert_mended(with_pod_security(**{name: profile}), pointer)


@pytest.mark.case("L8")
@in_every_workload
@pytest.mark.parametrize(
    "profile",
    [
        {"type": "Localhost", "localhostProfile": "profiles/web.json"},
        {"type": "Localhost"},
        {"type": "localhost", "localhostProfile": "operator/default.json"},
        {"type": "Localhost", "localhostProfile": "../../../etc/passwd"},
        {"type": "Unconfined"},
    ],
)
def test_b03_seccomp_is_the_runtimes_own(build: Any, at: str, profile: Any) -> None:
    secured = {**create_pod_spec()["securityContext"], "seccompProfile": profile}
    pods = [
        ("securityContext", {"securityContext": secured}),
        ("containers/0/securityContext", with_container_security(seccompProfile=profile)),
        (
            "initContainers/0/securityContext",
            with_container_security("initContainers", seccompProfile=profile),
        ),
    ]
    for where, pod in pods:
        manifest = build(pod=pod)
        paths = {fault.path for fault in faults_of(manifest)}
        assert paths == {f"{at}/{where}/seccompProfile/type"}
        (sent,) = admitted(mended(manifest, faults_of(manifest)))
        assert '"seccompProfile": {"type": "RuntimeDefault"}' in json.dumps(sent)
        assert "ocalhost" not in json.dumps(sent)


@pytest.mark.case("L8")
@in_every_workload
@pytest.mark.parametrize(
    "key",
    [
        "seccomp.security.alpha.kubernetes.io/pod",
        "container.seccomp.security.alpha.kubernetes.io/web",
    ],
)
def test_b03_the_old_annotations_of_seccomp_are_refused(build: Any, at: str, key: str) -> None:
    manifest = build()
    holder = manifest["spec"]
    if "jobTemplate" in holder:
        holder = holder["jobTemplate"]["spec"]
    metadata = holder["template"].setdefault("metadata", {})
    metadata["annotations"] = {key: "localhost/profiles/web.json"}
    pointer = at.removesuffix("/spec") + "/metadata/annotations/" + key.replace("/", "~1")
    assert_mended(manifest, pointer)


@in_every_workload
@in_every_list
def test_b02_b03_b04_what_is_absent_is_named_and_mended(build: Any, at: str, field: str) -> None:
    manifest = build(pod={"securityContext": None, field: [BARE | {"name": "c"}]})
    faults = faults_of(manifest)
    assert [fault.path for fault in faults] == [
        f"{at}/securityContext/runAsNonRoot",
        f"{at}/securityContext/seccompProfile",
        f"{at}/{field}/0/securityContext/allowPrivilegeEscalation",
        f"{at}/{field}/0/securityContext/capabilities",
    ]
    assert admitted(mended(manifest, faults))
    assert all(len(faults_of(mended(manifest, (fault,)))) == 2 for fault in faults)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"runAsNonRoot": False}, "runAsNonRoot"),
        ({"runAsUser": 0}, "runAsUser"),
        ({"fsGroup": 0}, "fsGroup"),
        ({"supplementalGroups": [0]}, "supplementalGroups"),
        ({"supplementalGroups": [1000, 0, 1001]}, "supplementalGroups"),
        ({"supplementalGroups": [-5]}, "supplementalGroups"),
    ],
)
def test_b04_a_pod_is_not_root(fields: Any, where: str) -> None:
    assert_mended(with_pod_security(**fields), f"{POD_AT}/securityContext/{where}")


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile/type"),
        ({"appArmorProfile": {"type": "Unconfined"}}, "appArmorProfile/type"),
        ({"seLinuxOptions": {"type": "spc_t"}}, "seLinuxOptions/type"),
        ({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, "sysctls"),
        (
            {
                "sysctls": [
                    {"name": "net.ipv4.tcp_syncookies", "value": "1"},
                    {"name": "net.core.somaxconn", "value": "1"},
                ]
            },
            "sysctls",
        ),
        ({"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}] * 2}, "sysctls"),
    ],
)
def test_b03_a_pod_is_confined(fields: Any, where: str) -> None:
    assert_mended(with_pod_security(**fields), f"{POD_AT}/securityContext/{where}")


def test_b03_a_long_value_of_a_sysctl_is_not_shown() -> None:
    sysctls = [
        {"name": "net.ipv4.ip_local_reserved_ports", "value": "8080," * 20},
        {"name": "kernel.msgmax", "value": "1"},
    ]
    assert_refused(with_pod_security(sysctls=sysctls), f"{POD_AT}/securityContext/sysctls")


@in_every_workload
def test_b05_windows_would_relax_the_standard(build: Any, at: str) -> None:
    assert_mended(build(pod={"os": {"name": "windows"}}), f"{at}/os")
    assert admitted(build(pod={"os": {"name": "linux"}}))


@in_every_list
def test_b05_nothing_of_windows_is_set(field: str) -> None:
    options = {"windowsOptions": {"hostProcess": True}}
    pointer = f"{POD_AT}/securityContext/windowsOptions"
    assert_mended(with_pod_security(**options), pointer)
    manifest = create_deployment_manifest(pod=with_container_security(field, **options))
    assert_mended(manifest, f"{POD_AT}/{field}/0/securityContext/windowsOptions")


@pytest.mark.parametrize(
    "fields",
    [
        {"runAsUser": 1000, "runAsGroup": 0, "fsGroup": 1000, "supplementalGroups": [1000]},
        {"fsGroupChangePolicy": "OnRootMismatch", "supplementalGroupsPolicy": "Strict"},
        {"appArmorProfile": {"type": "RuntimeDefault"}},
        {"appArmorProfile": {"type": "Localhost", "localhostProfile": "k8s-web"}},
        {"seLinuxOptions": {"type": "container_t", "level": "s0:c123,c456", "user": ""}},
        {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}]},
    ],
)
def test_what_the_standard_allows_passes(fields: Any) -> None:
    assert admitted(with_pod_security(**fields))


def test_what_every_container_says_the_pod_need_not() -> None:
    own = {**SECURE, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {
        "securityContext": None,
        "initContainers": [create_container(name="init", securityContext=own)],
        "containers": [create_container(securityContext=own)],
    }
    manifest = create_deployment_manifest(pod=pod)
    assert admitted(manifest) == admitted(manifest, harden=True)
    assert "securityContext" not in admitted(manifest)[0]["spec"]["template"]["spec"]
    del pod["initContainers"][0]["securityContext"]["runAsNonRoot"]  # type: ignore[index]
    assert_mended(create_deployment_manifest(pod=pod), f"{POD_AT}/securityContext/runAsNonRoot")


def test_a17_what_pod_security_would_say_of_the_pods_is_said_of_the_template() -> None:
    pod = {"securityContext": None, "containers": [BARE]}
    manifest = create_deployment_manifest(pod=pod)
    assert describe_violations("restricted", manifest["spec"]["template"]["spec"])
    assert faults_of(manifest)


@in_every_workload
def test_hardening_fills_in_what_is_absent(build: Any, at: str) -> None:
    pod = {"securityContext": None, "containers": [BARE], "initContainers": [BARE | {"name": "i"}]}
    (sent,) = admitted(build(pod=pod), harden=True)
    for key in at.split("/")[1:]:
        sent = sent[key]
    assert describe_violations("restricted", sent) == ""
    assert sent["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert sent["containers"] == [BARE | {"securityContext": SECURE}]
    assert sent["initContainers"] == [BARE | {"name": "i", "securityContext": SECURE}]


@pytest.mark.parametrize(
    "security",
    [
        {"allowPrivilegeEscalation": True},
        {"capabilities": {"drop": ["NET_RAW"]}},
        {"capabilities": {"add": ["SYS_TIME"]}},
        {"runAsNonRoot": False},
        {"seccompProfile": {"type": "Unconfined"}},
        {"privileged": True},
    ],
)
def test_hardening_never_overrides_what_a_manifest_says(security: Any) -> None:
    pod = {"securityContext": None, "containers": [BARE | {"securityContext": security}]}
    (fault,) = faults_of(create_deployment_manifest(pod=pod), harden=True)
    assert fault.path.startswith(f"{POD_AT}/containers/0/securityContext/{next(iter(security))}")
    spec = create_pod_spec(**pod)
    hardened = harden_pod_spec(spec)["containers"][0]["securityContext"]
    for name, value in security.items():
        kept = hardened[name]
        assert kept == ({**kept, **value} if isinstance(value, dict) else value)


def test_hardening_changes_nothing_that_it_is_given() -> None:
    spec = create_pod_spec(securityContext={"fsGroup": 1000}, containers=[deepcopy(BARE)])
    before = deepcopy(spec)
    harden_pod_spec(spec)
    assert spec == before


@pytest.mark.parametrize(
    "junk", [None, 1, "x", [], {}, [None, 1, "x", []], [{"securityContext": 1}]]
)
def test_hardening_leaves_what_it_cannot_read(junk: Any) -> None:
    for field in ("containers", "initContainers", "securityContext"):
        harden_pod_spec({field: junk})
    harden_pod_spec({"containers": [{"securityContext": {"capabilities": junk}}]})


@pytest.mark.parametrize("containers", [[], None, "x"])
def test_where_there_is_no_container_none_speaks_for_the_pod(containers: Any) -> None:
    assert lacking_in_pod({"containers": containers}).keys() == {"runAsNonRoot", "seccompProfile"}
