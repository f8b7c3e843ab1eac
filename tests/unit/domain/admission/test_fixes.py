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

thorough = settings(max_examples=8000, deadline=None, suppress_health_check=[HealthCheck.too_slow])

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=70), inner, max_size=3)
    ),
    max_leaves=6,
)
# What people and machines really write where something else belongs.
MISTAKES = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 1 << 40, "1", "true", "", "x", "Unconfined", [], {}, [None]]
)
# Members that are refused wherever Kubernetes knows them, and unknown elsewhere.
MEMBERS = st.sampled_from(
    [
        ("hostNetwork", True),
        ("privileged", True),
        ("nodeName", "n"),
        ("securityContext", {}),
        ("securityContext", {"runAsNonRoot": False, "runAsUser": 0}),
        ("securityContext", {"capabilities": {"add": ["SYS_ADMIN"]}, "privileged": True}),
        ("capabilities", {"drop": []}),
        ("seccompProfile", {"type": "unconfined", "localhostProfile": "x"}),
        ("appArmorProfile", {"type": "Localhost"}),
        ("labels", {"app.kubernetes.io/managed-by": "x", "app": 1}),
        ("annotations", {"traefik.io/x": None, "keel.sh/policy": "all"}),
        ("namespace", "kube-system"),
        ("apiVersion", "v2"),
        ("creationTimestamp", None),
        ("status", {}),
        ("template", {}),
        ("metadata", {}),
        ("selector", {"matchLabels": {"app": "other"}}),
        ("selector", {"matchLabels": {"pod-template-hash": "x", "tier": "front"}}),
        ("terminationGracePeriodSeconds", "1000"),
        ("livenessProbe", {"httpGet": {"port": "80", "host": "10.0.0.1"}, "periodSeconds": "0"}),
        ("lifecycle", {"stopSignal": None, "preStop": {"sleep": {"seconds": "400"}}}),
        ("ports", [{"containerPort": "80", "hostPort": 80, "protocol": "tcp"}]),
        ("env", [{"name": "PORT", "value": 80}, {"name": 1}]),
        ("resources", {"limits": {"cpu": "100", "gpu": 1}, "requests": {"memory": -1}}),
        ("replicas", "100"),
        ("type", "NodePort"),
        ("externalIPs", ["192.0.2.1"]),
        ("schedule", "* * * * *"),
        ("restartPolicy", "Always"),
        ("volumes", [{"name": "v", "hostPath": None}]),
        ("affinity", {"nodeAffinity": {}, "podAffinity": {"x": 1}}),
        ("sysctls", [{"name": "a", "value": 1}]),
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
        keys = draw(st.sampled_from(places(body)[1:] or [()]))
        if not keys:
            continue
        parent, key = find(body, keys[:-1]), keys[-1]
        action = draw(st.sampled_from(["replace", "remove", "insert", "insert", "insert"]))
        if action == "replace" and len(keys) > 1:
            parent[key] = deepcopy(draw(values))
        elif action == "remove" and isinstance(parent, dict):
            del parent[key]
        elif isinstance(parent[key], dict):
            name, value = draw(MEMBERS)
            parent[key][name] = deepcopy(value)
    return body


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
