"""Whatever a caller sends: an answer, every fault, and fixes that work together."""

import json
import re
from copy import deepcopy
from typing import Any

import jsonpatch
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.manifests import (
    create_config_map_manifest,
    create_container,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
)
from tests.unit.domain.admission.good_manifests import GOOD
from tests.unit.domain.admission.requests import admitted, faults_of, mended, refusal_of
from tests.unit.domain.admission.test_admit import assert_a_cluster_takes

Json = Any
Keys = tuple[str | int, ...]

thorough = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=70), inner, max_size=3)
    ),
    max_leaves=6,
)
# What people and machines really write where something else belongs.
MISTAKES: st.SearchStrategy[Json] = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 1 << 40, "1", "true", "", "x", "Unconfined", [], {}, [None]]
)
# Members that mean something, beside a member that is found where they do.
MEMBERS = st.sampled_from(
    [
        ("kind", "apiVersion", "v2"),
        ("kind", "status", {}),
        ("kind", "metadata", {}),
        ("name", "namespace", "kube-system"),
        ("name", "creationTimestamp", None),
        ("name", "labels", {"app.kubernetes.io/managed-by": "x", "app": 1}),
        ("name", "annotations", {"traefik.io/x": None, "keel.sh/policy": "all"}),
        ("name", "labels", {"release": "x", "grafana_dashboard": 1, "app": "web"}),
        ("spec", "metadata", {}),
        ("spec", "metadata", {"labels": {"release": "x", "app": "web"}}),
        ("spec", "metadata", {"labels": {"k8s-app": "x"}}),
        ("template", "selector", {"matchLabels": {"release": "x", "app": "web"}}),
        ("template", "selector", {"matchLabels": {"k8s-app": "x"}}),
        ("template", "selector", {"matchExpressions": [{"key": "release", "operator": "Exists"}]}),
        ("ports", "selector", {"release": "x", "my-release": "y"}),
        ("spec", "metadata", {"labels": {"job-name": "x", "tier": "front"}, "uid": None}),
        ("metadata", "spec", {}),
        ("app", "controller-uid", True),
        ("template", "selector", {"matchLabels": {"app": "other", "tier": "front"}}),
        ("template", "selector", {"matchLabels": {"pod-template-hash": "x", "tier": "front"}}),
        ("template", "selector", {"matchExpressions": [{"key": "app", "operator": "exists"}]}),
        ("template", "selector", {}),
        ("template", "replicas", "100"),
        ("template", "minReadySeconds", 1000),
        ("template", "strategy", {"type": "recreate", "rollingUpdate": {"maxSurge": "200%"}}),
        ("template", "completionMode", "Indexed"),
        ("template", "parallelism", "11"),
        ("template", "ttlSecondsAfterFinished", None),
        ("template", "template", {}),
        ("containers", "containers", []),
        ("containers", "hostNetwork", "true"),
        ("containers", "shareProcessNamespace", True),
        ("containers", "nodeName", "n"),
        ("containers", "serviceAccountName", "admin"),
        ("containers", "automountServiceAccountToken", "true"),
        ("containers", "restartPolicy", "Sometimes"),
        ("containers", "terminationGracePeriodSeconds", "1000"),
        ("containers", "securityContext", {}),
        ("containers", "securityContext", {"runAsNonRoot": False, "runAsUser": 0, "x": 1}),
        ("containers", "securityContext", {"supplementalGroups": [0, "1"], "fsGroup": None}),
        ("containers", "securityContext", {"sysctls": [{"name": "a", "value": 1}]}),
        ("containers", "initContainers", [{"name": "init", "image": "x", "livenessProbe": {}}]),
        ("containers", "initContainers", [{"name": "init", "image": "x", "lifecycle": {"x": 1}}]),
        ("containers", "volumes", [{"name": "v", "hostPath": None}]),
        ("containers", "volumes", [{"name": "v", "emptyDir": {"sizeLimit": 1, "mode": 1}}]),
        ("containers", "affinity", {"nodeAffinity": {}, "podAffinity": {"x": 1}}),
        ("containers", "dnsPolicy", "Default"),
        ("containers", "os", {"name": "Windows"}),
        ("image", "securityContext", None),
        ("image", "securityContext", {"allowPrivilegeEscalation": "true"}),
        ("image", "securityContext", {"capabilities": {"add": ["SYS_ADMIN"], "drop": None}}),
        ("image", "securityContext", {"capabilities": {"drop": [1]}, "privileged": "true"}),
        ("image", "lifecycle", {"stopSignal": None, "preStop": {"sleep": {"seconds": "400"}}}),
        ("image", "livenessProbe", {"httpGet": {"port": 80, "host": "x"}, "periodSeconds": "0"}),
        (
            "image",
            "readinessProbe",
            {"tcpSocket": {"port": 80.0}, "terminationGracePeriodSeconds": 1},
        ),
        ("image", "ports", [{"containerPort": "80", "hostPort": 80, "protocol": "tcp"}]),
        ("image", "env", [{"name": "PORT", "value": 80}, {"name": 1}]),
        ("image", "resources", {"limits": {"cpu": "100", "gpu": 1}, "requests": {"memory": -1}}),
        ("image", "resources", {"requests": {"cpu": "400m", "memory": "200Mi"}}),
        ("image", "restartPolicy", "Always"),
        ("drop", "add", ["SYS_ADMIN", 1]),
        ("drop", "drop", ["NET_RAW"]),
        ("type", "localhostProfile", "x"),
        ("type", "type", "unconfined"),
        ("type", "type", "Localhost"),
        ("ports", "type", "NodePort"),
        ("ports", "externalIPs", ["192.0.2.1"]),
        ("ports", "sessionAffinityConfig", {"clientIP": {"timeoutSeconds": "0"}}),
        ("ports", "ports", [{"port": "80", "nodePort": 30_000}, {"port": 81, "name": None}]),
        ("schedule", "schedule", "* * * * *"),
        ("schedule", "concurrencyPolicy", "allow"),
        ("data", "immutable", "true"),
        ("data", "binaryData", {"a": "?", "colour": ""}),
    ]
)


def places(value: Json, at: Keys = ()) -> list[Keys]:
    """Return the keys of everything inside a value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [at] + [place for key, item in items for place in places(item, (*at, key))]


def find(body: Json, keys: Keys) -> Json:
    """Return what is there."""
    for key in keys:
        body = body[key]
    return body


@st.composite
def bodies(draw: st.DrawFn, values: st.SearchStrategy[Json] = MISTAKES) -> Json:
    """Draw good manifests that are broken here and there, each mistake on top of the others."""
    pool = [
        create_config_map_manifest(),
        create_cron_job_manifest(),
        create_deployment_manifest(),
        create_deployment_manifest("api", pod={"initContainers": [create_container(name="i")]}),
        create_job_manifest(),
        create_service_manifest(),
        *GOOD.values(),
    ]
    chosen = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=2))
    body = json.loads(json.dumps(chosen))
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.integers(0, 2)):
            break_known(draw, body)
        else:
            break_anything(draw, body, values)
    return body


def break_known(draw: st.DrawFn, body: Json) -> None:
    """Set a member that means something where it is."""
    beside, name, value = draw(MEMBERS)
    objects = [each for keys in places(body) if isinstance(each := find(body, keys), dict)]
    known = [each for each in objects if beside in each] or objects
    draw(st.sampled_from(known))[name] = deepcopy(value)


def break_anything(draw: st.DrawFn, body: Json, values: st.SearchStrategy[Json]) -> None:
    """Replace or remove anything."""
    inside = [keys for keys in places(body) if len(keys) > 1]
    if not inside:
        return
    keys = draw(st.sampled_from(inside))
    parent = find(body, keys[:-1])
    if isinstance(parent, dict) and draw(st.booleans()):
        del parent[keys[-1]]
    else:
        parent[keys[-1]] = deepcopy(draw(values))


@thorough
@given(bodies())
def test_the_fixes_together_leave_only_what_has_no_fix(body: Json) -> None:
    faults = faults_of(body)
    left = faults_of(mended(body, faults))
    unfixed = {fault.path for fault in faults if fault.fix is None}
    assert [fault for fault in left if fault.fix is not None or fault.path not in unfixed] == []


@thorough
@given(bodies(), st.data())
def test_a_fix_works_alone_and_after_those_before_it(body: Json, data: st.DataObject) -> None:
    faults = [fault for fault in faults_of(body) if fault.fix]
    for fault in faults:
        assert fault.fix is not None
        jsonpatch.apply_patch(body, list(fault.fix))
    chosen = data.draw(st.lists(st.booleans(), min_size=len(faults), max_size=len(faults)))
    mended(body, tuple(fault for fault, keep in zip(faults, chosen, strict=True) if keep))


@thorough
@given(bodies(), st.booleans())
def test_what_passes_when_mended_a_cluster_takes(body: Json, harden: bool) -> None:
    body = mended(body, faults_of(body, harden=harden))
    if refusal_of(body, harden=harden) is None:
        for sent in admitted(body, harden=harden):
            assert_a_cluster_takes(sent)


@thorough
@given(bodies(JUNK) | JUNK, st.booleans())
def test_whatever_comes_in_an_answer_goes_out(body: Json, harden: bool) -> None:
    before = deepcopy(body)
    refusal = refusal_of(body, harden=harden)
    assert repr(body) == repr(before)
    if refusal is not None:
        assert refusal.faults
        for fault in refusal.faults:
            assert fault.message[0].isalpha()
            assert fault.message.endswith(".")


@thorough
@given(bodies(st.from_regex(re.compile(r"Q[A-Z]{80,120}"), fullmatch=True)))
def test_nothing_long_of_the_callers_is_shown(body: Json) -> None:
    refusal = refusal_of(body)
    if refusal is not None:
        shown = json.dumps([[fault.path, fault.message, fault.fix] for fault in refusal.faults])
        assert not re.search(r"Q[A-Z]{64}", shown + refusal.message)


@pytest.mark.parametrize("name", GOOD)
def test_every_place_of_every_good_manifest_may_be_null(name: str) -> None:
    for keys in places(GOOD[name])[1:]:
        manifest = deepcopy(GOOD[name])
        find(manifest, keys[:-1])[keys[-1]] = None
        faults = faults_of(manifest)
        assert faults, keys
        left = faults_of(mended(manifest, faults))
        unfixed = {fault.path for fault in faults if fault.fix is None}
        assert {fault.path for fault in left} <= unfixed, keys


def test_deep_nesting_is_not_followed() -> None:
    deep: Json = []
    for _ in range(30_000):
        deep = [deep]
    for manifest in (
        create_deployment_manifest(pod={"affinity": {"nodeAffinity": deep}}),
        create_deployment_manifest(pod={"volumes": [{"name": "v", "csi": deep}]}),
        create_config_map_manifest(data={"a": deep}),
        {"kind": deep},
        {**create_config_map_manifest(), "apiVersion": deep},
    ):
        assert refusal_of(manifest) is not None
