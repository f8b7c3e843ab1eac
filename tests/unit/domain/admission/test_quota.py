"""What the friend's quota could never admit: 3 pods, 500m CPU and 512Mi; 256Mi for a container."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.admission.quota import check_quota
from chalicelib.domain.admission.report import Report
from chalicelib.domain.errors import Fault
from chalicelib.domain.namespace import build_namespace_objects
from chalicelib.domain.tiers import TIERS
from infra.local import kube_admission, kube_objects, kube_validation
from infra.local.kube_defaults import with_defaults
from tests.factories import create_friend, create_layout
from tests.manifests import (
    create_config_map_manifest,
    create_container,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
)
from tests.unit.domain.admission import rules

Manifest = dict[str, Any]

TIER = TIERS["default"]
POD_AT = "/spec/template/spec"
CONTAINER_AT = f"{POD_AT}/containers/0/resources"
STORAGE = "ephemeral-storage"
BUILDERS = (create_deployment_manifest, create_job_manifest)
AMPLE = {"cpu": "100m", "memory": "100Mi", STORAGE: "100Mi"}


def check_one(manifest: Manifest, at: str, report: Report) -> None:
    check_quota([(at, manifest)], TIER, report)


def faults_of_all(*manifests: Manifest) -> tuple[Fault, ...]:
    report = Report()
    pairs = [(f"/{index}", manifest) for index, manifest in enumerate(manifests)]
    check_quota(pairs, TIER, report)
    return report.faults


faults_of = partial(rules.faults_of, check_one)
assert_refused = partial(rules.assert_refused, check_one)
assert_mended = partial(rules.assert_refused_and_mended, check_one)


def create_pod(*containers: Any, init: tuple[Any, ...] = ()) -> Manifest:
    """Return members of a pod's spec; a container is its resources."""
    return {
        "containers": [
            create_container(name=f"c{n}", resources=r) for n, r in enumerate(containers)
        ],
        "initContainers": list(init) or None,
    }


def create_init(name: str, resources: Any, **fields: Any) -> Manifest:
    return create_container(name=name, resources=resources, **fields)


def asking(**limits: Any) -> Manifest:
    return {"limits": limits}


@pytest.mark.parametrize(
    "resources",
    [
        None,
        {},
        {"limits": {}, "requests": {}},
        {"limits": {"cpu": "500m", "memory": "256Mi"}},
        {"limits": {"cpu": 0.5, "memory": 134_217_728}},
        {"limits": {"cpu": "1m", "memory": "4Mi", STORAGE: "1Mi"}},
        {"requests": {"cpu": "1m", "memory": "1Mi", STORAGE: "1Mi"}},
        {"requests": {"cpu": "100m", "memory": "64Mi"}},
        {"requests": {"cpu": "0", "memory": 0}},
        {"limits": {"cpu": "10m"}, "requests": {"cpu": "10m"}},
        {"limits": {STORAGE: "1Gi"}, "requests": {STORAGE: "10Mi"}},
        {"requests": {STORAGE: "512Mi"}},
    ],
)
def test_b14_usual_resources_are_admitted(resources: Any) -> None:
    assert faults_of(create_deployment_manifest(pod=create_pod(resources))) == ()


@pytest.mark.parametrize("create", BUILDERS)
@pytest.mark.parametrize("name", ["cpu", "memory", STORAGE])
@pytest.mark.parametrize(
    "limit", ["1e30", "1e10", 10**10, "-1", -1, "NaN", "", "1e999999999", "0", 0]
)
def test_b14_a_limit_is_in_bounds(create: Callable[..., Manifest], name: str, limit: Any) -> None:
    manifest = create(pod=create_pod({"limits": {name: limit}}))
    assert_mended(manifest, f"{CONTAINER_AT}/limits/{name}")


@pytest.mark.parametrize("name", ["cpu", "memory", STORAGE])
@pytest.mark.parametrize("request_", ["1e10", 10**10, "-1", "NaN", "", "1e999999999"])
def test_b14_a_request_is_in_bounds(name: str, request_: Any) -> None:
    manifest = create_deployment_manifest(
        pod=create_pod({"limits": {name: AMPLE[name]}, "requests": {name: request_}})
    )
    assert_mended(manifest, f"{CONTAINER_AT}/requests/{name}")


@pytest.mark.case("K4")
@pytest.mark.parametrize(
    ("name", "given_", "meant"),
    [
        ("memory", "200m", "200Mi"),
        ("memory", 256, "256Mi"),
        ("memory", "128", "128Mi"),
        ("memory", 64.0, "64Mi"),
        ("memory", 0.25, "256Mi"),
        ("memory", "0.5", "256Mi"),
        ("memory", 1, "256Mi"),
        ("memory", "1e3", "256Mi"),
        ("memory", 512, "256Mi"),
        ("memory", "100k", "100Mi"),
        ("memory", "512k", "256Mi"),
        ("memory", "96Ki", "96Mi"),
        ("memory", "2Mi", "4Mi"),
        ("memory", "4M", "4Mi"),
        ("memory", 1_048_576, "4Mi"),
        ("memory", "1Gi", "256Mi"),
        (STORAGE, "500m", "500Mi"),
        (STORAGE, 100, "100Mi"),
        (STORAGE, "1", "1Gi"),
        (STORAGE, "64Ki", "64Mi"),
        (STORAGE, 500_000, "1Mi"),
        ("cpu", "250Mi", "250m"),
        ("cpu", "500Mi", "500m"),
        ("cpu", "100M", "100m"),
        ("cpu", 250, "250m"),
        ("cpu", "100", "100m"),
        ("cpu", 1, "500m"),
        ("cpu", "2", "500m"),
        ("cpu", "100u", "100m"),
    ],
)
def test_b14_an_amount_in_the_wrong_unit_gets_the_unit_that_was_meant(
    name: str, given_: Any, meant: str
) -> None:
    for create in BUILDERS:
        manifest = create(pod=create_pod({"limits": {name: given_}}))
        pointer = f"{CONTAINER_AT}/limits/{name}"
        assert_mended(manifest, pointer)
        (fault,) = faults_of(manifest)
        assert fault.fix == ({"op": "add", "path": f"/0{pointer}", "value": meant},)


@pytest.mark.case("K4")
@pytest.mark.parametrize(
    ("name", "given_", "meant"),
    [
        ("memory", "32m", "32Mi"),
        ("memory", 64, "64Mi"),
        ("memory", 200, "100Mi"),
        ("memory", "0.5", "100Mi"),
        ("memory", "50k", "50Mi"),
        ("memory", "512Ki", "100Mi"),
        (STORAGE, "10m", "10Mi"),
        (STORAGE, 20, "20Mi"),
        ("cpu", "50Mi", "50m"),
        ("cpu", 50, "50m"),
        ("cpu", "0.2m", "1m"),
    ],
)
def test_b14_a_request_in_the_wrong_unit_gets_the_unit_that_was_meant(
    name: str, given_: Any, meant: str
) -> None:
    resources = {"limits": {name: AMPLE[name]}, "requests": {name: given_}}
    manifest = create_deployment_manifest(pod=create_pod(resources))
    pointer = f"{CONTAINER_AT}/requests/{name}"
    assert_mended(manifest, pointer)
    (fault,) = faults_of(manifest)
    assert fault.fix == ({"op": "add", "path": f"/0{pointer}", "value": meant},)


def test_b14_thousand_cores_are_too_many() -> None:
    pod = create_pod(asking(cpu="1e3"))
    assert_mended(create_deployment_manifest(pod=pod), f"{CONTAINER_AT}/limits/cpu")


def test_b14_both_sides_may_be_wrong() -> None:
    resources = {"limits": {"cpu": "9"}, "requests": {"cpu": "10"}}
    manifest = create_deployment_manifest(pod=create_pod(resources))
    assert [fault.path for fault in faults_of(manifest)] == [
        f"/0{CONTAINER_AT}/limits/cpu",
        f"/0{CONTAINER_AT}/requests/cpu",
    ]
    assert faults_of(rules.mended(manifest, *faults_of(manifest))) == ()


@pytest.mark.parametrize("limits", [{}, {"limits": {}}, {"limits": {"memory": "64Mi"}}])
def test_b14_a_request_above_the_default_limit_needs_a_limit(limits: Manifest) -> None:
    resources = {**limits, "requests": {"cpu": "200m"}}
    manifest = create_deployment_manifest(pod=create_pod(resources))
    assert_mended(manifest, f"{CONTAINER_AT}/limits/cpu")


def test_b14_limits_that_lack_together_are_added_together() -> None:
    resources = {"requests": {"cpu": "200m", "memory": "128Mi"}}
    manifest = create_deployment_manifest(pod=create_pod(resources))
    cpu, memory = faults_of(manifest)
    assert cpu.path.endswith("/limits/cpu")
    assert memory.path.endswith("/limits/memory")
    for fault in (cpu, memory):
        assert faults_of(rules.mended(manifest, fault)) == ()
    assert faults_of(rules.mended(manifest, cpu, memory)) == ()


@pytest.mark.parametrize("side", ["limits", "requests"])
def test_b14_other_resources_are_refused(side: str) -> None:
    manifest = create_deployment_manifest(pod=create_pod({side: {"nvidia.com/gpu": 1}}))
    assert_mended(manifest, f"{CONTAINER_AT}/{side}/nvidia.com~1gpu")
    manifest = create_deployment_manifest(pod=create_pod({side: {"x" * 65: 1}}))
    assert_refused(manifest, f"{CONTAINER_AT}/{side}")


def test_b14_init_containers_have_bounds_too() -> None:
    pod = create_pod({}, init=(create_init("a", asking(cpu="2")),))
    pointer = "/spec/jobTemplate/spec/template/spec/initContainers/0/resources/limits/cpu"
    assert_mended(create_cron_job_manifest(pod=pod), pointer)


BIG, HALF, SIDECAR = asking(memory="256Mi"), asking(memory="128Mi"), {"restartPolicy": "Always"}
SPARING = {"limits": {"memory": "256Mi"}, "requests": {"memory": "1Mi"}}


@pytest.mark.parametrize(
    ("pod", "fits"),
    [
        (create_pod(BIG, BIG), True),
        (create_pod(BIG, HALF, HALF), True),
        (create_pod(BIG, BIG, asking(memory="4Mi")), False),
        (create_pod(SPARING, SPARING), True),
        (create_pod(SPARING, SPARING, SPARING), False),
        (create_pod(*[{}] * 5), True),
        (create_pod(*[{}] * 6), False),
        (create_pod(BIG, BIG, init=(create_init("a", BIG), create_init("b", BIG))), True),
        (create_pod(BIG, BIG, init=(create_init("a", HALF, **SIDECAR),)), False),
        (create_pod(BIG, init=(create_init("a", BIG, **SIDECAR), create_init("b", BIG))), True),
        (
            create_pod(
                HALF,
                init=(
                    create_init("a", BIG, **SIDECAR),
                    create_init("b", HALF, **SIDECAR),
                    create_init("c", BIG),
                ),
            ),
            False,
        ),
        (
            create_pod(
                HALF,
                init=(
                    create_init("c", BIG),
                    create_init("a", BIG, **SIDECAR),
                    create_init("b", HALF, **SIDECAR),
                ),
            ),
            True,
        ),
    ],
)
def test_b14_a_pod_fits_into_the_quota(pod: Manifest, *, fits: bool) -> None:
    for create in BUILDERS:
        faults = faults_of(create(pod=pod))
        assert {fault.path for fault in faults} == (set() if fits else {f"/0{POD_AT}/containers"})
        assert all(fault.fix is None for fault in faults)


def test_b14_each_sum_over_the_quota_is_named() -> None:
    pod = create_pod(*[asking(cpu="500m", memory="256Mi", **{STORAGE: "1Gi"})] * 4)
    messages = [fault.message for fault in faults_of(create_deployment_manifest(pod=pod))]
    requests = ("requests.cpu", "requests.memory")
    for name in (*requests, "limits.cpu", "limits.memory", f"limits.{STORAGE}"):
        assert [each for each in messages if each.startswith(f"The pod's {name} come to ")]


@pytest.mark.parametrize(
    ("resources", "most"),
    [
        ({}, 3),
        (asking(memory="256Mi"), 2),
        (asking(cpu="500m"), 1),
        (asking(cpu="1e3"), 1),
        (asking(cpu="10m", memory="10Mi", **{STORAGE: "1Gi"}), 3),
    ],
)
def test_more_replicas_than_fit_are_refused(resources: Manifest, most: int) -> None:
    pod = create_pod(resources)
    path = "/0/spec/replicas"
    usual = [fault.path for fault in faults_of(create_deployment_manifest(pod=pod, replicas=most))]
    assert path not in usual
    for replicas in (most + 1, 100, 10**6):
        manifest = create_deployment_manifest(pod=pod, replicas=replicas)
        fault = faults_of(manifest)[-1]
        assert (fault.path, len(faults_of(manifest))) == (path, len(usual) + 1)
        assert rules.mended(manifest, fault)["spec"]["replicas"] == most
        assert faults_of(rules.mended(manifest, *faults_of(manifest))) == ()


def test_a_deployment_may_wait_without_pods() -> None:
    assert faults_of(create_deployment_manifest(replicas=0)) == ()
    assert faults_of(create_deployment_manifest(replicas=-1)) == ()


def job_of(number: int, **fields: Any) -> Manifest:
    return create_job_manifest(f"job-{number}", **{"backoffLimit": 0, **fields})


@pytest.mark.case("M12")
@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"completions": 100, "backoffLimit": 0}, 60),
        ({"completions": 61, "backoffLimit": 0}, 60),
        ({"completions": 100}, 58),
        ({"completions": 59, "backoffLimit": 10}, 50),
        ({"completions": 55, "backoffLimit": None}, 54),
        ({"completions": 100, "pod": {"restartPolicy": "OnFailure"}}, 60),
        ({"completions": 80, "completionMode": "Indexed"}, 58),
        ({"completions": 10**9}, 58),
    ],
)
def test_c05_a_job_leaves_no_more_pods_than_there_is_room_for(fields: Any, most: int) -> None:
    manifest = create_job_manifest(**fields)
    assert_mended(manifest, "/spec/completions")
    mended = rules.mended(manifest, *faults_of(manifest))
    assert mended["spec"]["completions"] == most
    cron_job = create_cron_job_manifest(
        pod=fields.get("pod"),
        job={key: value for key, value in fields.items() if key != "pod"},
        successfulJobsHistoryLimit=0,
        failedJobsHistoryLimit=0,
    )
    assert_mended(cron_job, "/spec/jobTemplate/spec/completions")


@pytest.mark.case("M12")
@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"successfulJobsHistoryLimit": 10, "failedJobsHistoryLimit": 10}, (10, 1)),
        ({"job": {"backoffLimit": 10}, "failedJobsHistoryLimit": 3}, (3, 1)),
        ({"job": {"completions": 30}}, (0, 0)),
        ({"job": {"completions": 20, "backoffLimit": 0}, "failedJobsHistoryLimit": 0}, (2, 0)),
        ({"successfulJobsHistoryLimit": 10, "job": {"backoffLimit": None}}, (6, 1)),
        (
            {
                "pod": {"restartPolicy": "OnFailure"},
                "job": {"completions": 9},
                "failedJobsHistoryLimit": 9,
            },
            (3, 1),
        ),
    ],
)
def test_c06_a_cron_job_keeps_no_more_pods_than_there_is_room_for(
    fields: Any, kept: tuple[int, int]
) -> None:
    manifest = create_cron_job_manifest(**fields)
    assert_mended(manifest, "/spec/successfulJobsHistoryLimit")
    spec = rules.mended(manifest, *faults_of(manifest))["spec"]
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == kept


@pytest.mark.case("M12")
@pytest.mark.parametrize(
    ("manifests", "where"),
    [
        ([job_of(n, completions=30) for n in range(20)], [*range(2, 20)]),
        ([job_of(0, completions=40), job_of(1, completions=40)], [1]),
        (
            [
                create_cron_job_manifest(f"c{n}", job={"completions": 5, "backoffLimit": 0})
                for n in range(4)
            ],
            [3],
        ),
        ([create_deployment_manifest(replicas=3), job_of(0, completions=58)], [1]),
    ],
)
def test_c05_the_jobs_of_a_request_leave_pods_together(
    manifests: list[Manifest], where: list[int]
) -> None:
    faults = faults_of_all(*manifests)
    assert [int(fault.path.split("/")[1]) for fault in faults] == where
    body: Any = manifests
    for fault in faults:
        body = jsonpatch.apply_patch(body, list(fault.fix or ()))
    assert [fault for fault in faults_of_all(*body) if fault.fix] == []


@pytest.mark.parametrize(
    "manifests",
    [
        [create_cron_job_manifest(f"c{n}", job={"backoffLimit": None}) for n in range(5)],
        [job_of(n) for n in range(20)],
        [job_of(0, completions=60)],
        [job_of(n, completions=3, backoffLimit=None) for n in range(20)],
    ],
)
def test_usual_jobs_have_room_for_what_they_leave(manifests: list[Manifest]) -> None:
    assert faults_of_all(*manifests) == ()


@pytest.mark.parametrize(
    ("job", "fits"),
    [
        ({"parallelism": 3}, True),
        ({"parallelism": 4}, False),
        ({"parallelism": 10, "completions": 3}, True),
        ({"parallelism": 10, "completions": 4}, False),
        ({"completions": 10}, True),
        ({"parallelism": 0, "completions": 5}, True),
    ],
)
def test_c05_a_job_runs_no_more_pods_at_once_than_fit(job: Manifest, *, fits: bool) -> None:
    for manifest, at in (
        (create_job_manifest(**job), "/spec/parallelism"),
        (create_cron_job_manifest(job=job), "/spec/jobTemplate/spec/parallelism"),
    ):
        if fits:
            assert faults_of(manifest) == ()
        else:
            assert_mended(manifest, at)


def test_deployments_of_one_request_fit_together() -> None:
    names = ("a", "b", "c")
    assert faults_of_all(*map(create_deployment_manifest, names)) == ()
    (fault,) = faults_of_all(*map(create_deployment_manifest, (*names, "d")))
    assert (fault.path, fault.fix) == ("/3/spec/replicas", None)


def test_the_last_deployment_gets_what_is_left() -> None:
    first = create_deployment_manifest("a", replicas=1)
    (fault,) = faults_of_all(first, create_deployment_manifest("b", replicas=3))
    assert fault.path == "/1/spec/replicas"
    assert fault.fix == ({"op": "add", "path": "/1/spec/replicas", "value": 2},)


def test_deployments_of_one_request_share_the_memory_too() -> None:
    pod = create_pod(BIG)
    manifests = [create_deployment_manifest(name, pod=pod) for name in ("a", "b", "c")]
    (fault,) = faults_of_all(*manifests)
    assert fault.path == "/2/spec/replicas"


def test_jobs_of_one_request_may_run_one_by_one() -> None:
    jobs = [create_job_manifest(name, parallelism=3) for name in ("a", "b")]
    assert faults_of_all(*jobs, create_deployment_manifest(replicas=3)) == ()


@pytest.mark.parametrize(
    ("create", "most"),
    [
        (create_config_map_manifest, 19),
        (create_service_manifest, 10),
        (partial(create_deployment_manifest, replicas=0), 10),
        (create_job_manifest, 20),
        (create_cron_job_manifest, 5),
    ],
)
def test_c06_more_objects_than_a_namespace_holds_are_refused(
    create: Callable[[str], Manifest], most: int
) -> None:
    assert faults_of_all(*(create(f"n{n}") for n in range(most))) == ()
    (fault,) = faults_of_all(*(create(f"n{n}") for n in range(most + 3)))
    assert (fault.path, fault.fix) == (f"/{most}", None)


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob", "Service", "ConfigMap", "Pod"])
@pytest.mark.parametrize("spec", [{}, {"spec": {}}, {"spec": {"template": {}, "jobTemplate": {}}}])
def test_what_is_absent_is_no_matter_of_quota(kind: str, spec: Manifest) -> None:
    assert faults_of({"kind": kind, **spec}) == ()
    assert faults_of(spec) == ()


AMOUNTS = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["0", "10m", "100m", "300m", "500m", "2", "x", "-1"]),
        "memory": st.sampled_from(["0", "16Mi", "64Mi", "100Mi", "256Mi", "1Gi", "1e3"]),
    },
)
CONTAINERS = st.fixed_dictionaries({}, optional={"limits": AMOUNTS, "requests": AMOUNTS})
PODS = st.lists(CONTAINERS, min_size=1, max_size=3).map(lambda each: create_pod(*each))


@settings(deadline=None)  # a slow machine is no fault
@given(st.lists(st.tuples(PODS, st.integers(-1, 5)), max_size=3))
def test_fixes_hold_together(deployments: list[tuple[Manifest, int]]) -> None:
    body: Any = [create_deployment_manifest(pod=pod, replicas=n) for pod, n in deployments]
    faults = faults_of_all(*body)
    for fault in faults:
        if fault.fix:
            body = jsonpatch.apply_patch(body, list(fault.fix))
    assert [fault for fault in faults_of_all(*body) if fault.fix] == []


@settings(deadline=None)  # a slow machine is no fault
@given(PODS)
def test_the_double_of_the_cluster_agrees(pod: Manifest) -> None:
    manifest = create_deployment_manifest(pod=pod)
    manifest = rules.mended(manifest, *faults_of(manifest))
    refused = faults_of(manifest) != ()
    assert is_refused_by_double(manifest["spec"]["template"]["spec"]) is refused


def is_refused_by_double(spec: Manifest) -> bool:
    store, kinds = kube_objects.Store(), {kind.name: kind for kind in kube_objects.KINDS}
    for manifest in build_namespace_objects(create_friend(), create_layout()):
        store.put(kinds[manifest["kind"]], manifest)
    metadata = {"name": "web", "namespace": "friend-alice"}
    pod = with_defaults(kube_objects.POD, {"metadata": metadata, "spec": spec})
    pod = kube_admission.default_resources(store, {"status": {}, **pod})
    try:
        kube_validation.check_valid(kube_objects.POD, pod)
        kube_admission.check_limits(store, pod)
        kube_admission.check_quota(store, kube_objects.POD, pod)
    except kube_objects.Refused:
        return True
    return False
