"""Labels that the platform selects by: refused everywhere, with fixes that keep a request whole."""

import json
from typing import Any

import pytest

from chalicelib.domain.admission import admit
from chalicelib.domain.errors import Refused
from chalicelib.settings import DEFAULT_RESERVED_LABELS
from tests.manifests import (
    create_config_map_manifest,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
)
from tests.unit.domain.admission.good_manifests import with_metadata
from tests.unit.domain.admission.requests import (
    TIER,
    Manifest,
    admitted,
    assert_mended,
    assert_refused,
    faults_of,
    mended,
)

BUILDERS = [
    create_config_map_manifest,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
]
LABELS = [
    ("grafana_dashboard", "1"),
    ("grafana_datasource", "true"),
    ("release", "prometheus"),
    ("prometheus", "main"),
    ("k8s-app", "kube-dns"),
    ("io.kubernetes.pod.namespace", "kube-system"),
    ("io.kubernetes.container.name", "POD"),
]


def web(labels: Manifest, selector: Manifest | None = None, **pod: Any) -> Manifest:
    """Return a Deployment whose pods have these labels, and that selects by them."""
    manifest = create_deployment_manifest(pod=pod)
    manifest["spec"]["selector"] = {"matchLabels": labels} if selector is None else selector
    manifest["spec"]["template"]["metadata"] = {"labels": dict(labels)}
    return manifest


@pytest.mark.case("M11")
@pytest.mark.parametrize(("key", "value"), LABELS)
@pytest.mark.parametrize("build", BUILDERS)
def test_a11_an_object_goes_without_a_label_that_the_platform_selects_by(
    build: Any, key: str, value: str
) -> None:
    manifest = with_metadata(build(), labels={key: value, "app": "web"})
    assert_mended(manifest, f"/metadata/labels/{key}")
    (sent,) = admitted(mended(manifest, faults_of(manifest)))
    assert sent["metadata"]["labels"] == {"app": "web"}


@pytest.mark.case("M11")
@pytest.mark.parametrize(("key", "value"), LABELS)
def test_a11_the_pods_of_jobs_go_by_another_name(key: str, value: str) -> None:
    job = create_job_manifest()
    job["spec"]["template"]["metadata"] = {"labels": {key: value}}
    assert_mended(job, f"/spec/template/metadata/labels/{key}")
    cron_job = create_cron_job_manifest()
    cron_job["spec"]["jobTemplate"]["metadata"] = {"labels": {key: value}}
    assert_mended(cron_job, f"/spec/jobTemplate/metadata/labels/{key}")
    cron_job = create_cron_job_manifest()
    template = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    template["metadata"] = {"labels": {key: value}}
    assert_mended(cron_job, f"/spec/jobTemplate/spec/template/metadata/labels/{key}")


@pytest.mark.case("M11")
@pytest.mark.parametrize(("key", "value"), LABELS)
def test_a12_a_deployment_and_its_service_still_find_the_pods(key: str, value: str) -> None:
    body = [
        web({key: value}),
        web({"app": "web", key: value}) | {"metadata": {"name": "api"}},
        create_service_manifest(selector={key: value}),
        create_service_manifest("api", selector={"app": "web", key: value}),
    ]
    faults = faults_of(body)
    assert [fault.path for fault in faults] == [
        f"/0/spec/template/metadata/labels/{key}",
        f"/1/spec/template/metadata/labels/{key}",
        f"/2/spec/selector/{key}",
        f"/3/spec/selector/{key}",
    ]
    first, second, plain, narrow = admitted(mended(body, faults))
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in (first, second)]
    assert pods == [{f"my-{key}": value}, {"app": "web", f"my-{key}": value}]
    assert [each["spec"]["selector"]["matchLabels"] for each in (first, second)] == pods
    assert [plain["spec"]["selector"], narrow["spec"]["selector"]] == pods
    for fault in faults:
        assert len(faults_of(mended(body, (fault,)))) == len(faults) - 1


@pytest.mark.case("M11")
def test_a12_whatever_looks_at_a_renamed_label_looks_at_its_new_name() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "release", "operator": "In", "values": ["prod"]}],
    }
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"release": "prod"}},
        "mismatchLabelKeys": ["prometheus", "app"],
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchExpressions": [{"key": "release", "operator": "Exists"}]},
    }
    manifest = web(
        {"app": "web", "release": "prod"},
        selector,
        affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
        topologySpreadConstraints=[spread],
    )
    faults = faults_of(manifest)
    assert len(faults) == 2
    (sent,) = admitted(mended(manifest, faults))
    said = json.dumps(sent)
    assert said.count('"my-release"') == 4
    assert said.count('"my-prometheus"') == 1
    assert '"release"' not in said
    assert faults_of(mended(manifest, faults)) == ()


def test_a12_a_selector_that_the_pods_lack_is_renamed_before_they_get_its_labels() -> None:
    manifest = web({"app": "web"}, {"matchLabels": {"app": "web", "release": "prod"}})
    (sent,) = admitted(mended(manifest, faults_of(manifest)))
    labels = {"app": "web", "my-release": "prod"}
    assert sent["spec"]["template"]["metadata"]["labels"] == labels
    assert sent["spec"]["selector"]["matchLabels"] == labels


@pytest.mark.parametrize(
    "labels",
    [{"release": "a", "my-release": "b"}, {f"grafana_{'x' * 55}": "a"}],
)
def test_a12_a_label_that_cannot_be_renamed_is_told_without_a_fix(labels: Manifest) -> None:
    manifest = web({"app": "web"})
    manifest["spec"]["template"]["metadata"]["labels"] |= labels
    assert_refused(manifest, f"/spec/template/metadata/labels/{next(iter(labels))}")


@pytest.mark.parametrize(
    ("pattern", "reserved", "free"),
    [
        ("release", "release", "releases"),
        ("team.example/*", "team.example/a", "team.example.net/a"),
        ("*.team.example/*", "x.team.example/a", "team.example/a"),
        ("x_*_y", "x_1_y", "x_1"),
    ],
)
def test_the_setting_says_which(pattern: str, reserved: str, free: str) -> None:
    def keys_refused(patterns: tuple[str, ...]) -> list[str]:
        labels = {reserved: "a", free: "b"}
        manifest = with_metadata(create_config_map_manifest(), labels=labels)
        try:
            admit([("", manifest)], friend_id="alice", tier=TIER, reserved_labels=patterns)
        except Refused as refusal:
            prefix = "/metadata/labels/"
            found = [fault.path.removeprefix(prefix) for fault in refusal.faults]
            return [each.replace("~1", "/") for each in found]
        return []

    assert keys_refused((pattern,)) == [reserved]
    assert keys_refused(()) == []


def test_the_default_leaves_everyday_labels_alone() -> None:
    plain = "app tier component role chart heritage version environment team helm.sh/chart"
    standard = "app.kubernetes.io/name app.kubernetes.io/instance"
    labels = dict.fromkeys(f"{plain} {standard}".split(), "x")
    manifest = with_metadata(create_config_map_manifest(), labels=labels)
    patterns = DEFAULT_RESERVED_LABELS.split(",")
    assert admit([("", manifest)], friend_id="alice", tier=TIER, reserved_labels=patterns)


def labels_of(count: int, length: int = 1) -> Manifest:
    """Return so many labels with values of this length."""
    return {f"l{number}": "x" * length for number in range(count)}


@pytest.mark.case("M11")
@pytest.mark.parametrize(
    "labels",
    [
        labels_of(33),
        labels_of(20_000),
        {f"{'k' * 60}{n}": "x" * 63 for n in range(32)} | {"p.example/" + "q" * 60: "x" * 63},
        {f"{'d' * 63}.{'d' * 63}.example/l{n}": "x" for n in range(31)},
    ],
    ids=["33", "20000", "33 long", "4 KiB"],
)
def test_a11_an_object_has_32_labels_of_4_kib_at_most(labels: Manifest) -> None:
    assert_refused(with_metadata(create_config_map_manifest(), labels=labels), "/metadata/labels")
    job = create_job_manifest()
    job["spec"]["template"]["metadata"] = {"labels": labels}
    assert_refused(job, "/spec/template/metadata/labels")
    service = create_service_manifest(selector=labels)
    assert_refused(service, "/spec/selector")
    deployment = web({"app": "web"} | labels, {"matchLabels": {"app": "web"}})
    assert_refused(deployment, "/spec/template/metadata/labels")


def test_32_labels_of_4_kib_are_admitted() -> None:
    most = {f"{'k' * 62}{n}"[-63:]: "x" * 60 for n in range(10, 42)}
    for labels in (labels_of(32), most):
        assert admitted(with_metadata(create_config_map_manifest(), labels=labels))
        assert admitted(web(labels))
