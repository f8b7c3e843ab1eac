"""What a namespace's ResourceQuota, LimitRange and Pod Security level make of new objects."""

from typing import Any

import pytest

from tests.contract.cluster.builders import (
    RESTRICTED,
    Manifest,
    build_config_map,
    build_container,
    build_cron_job,
    build_deployment,
    build_job,
    build_limit_range,
    build_pod,
    build_quota,
    build_service,
    build_sized_pod,
)
from tests.contract.cluster.target import Place, eventually, refusal, succeed
from tests.contract.conftest import MakePlace


def set_quota(place: Place, **hard: str) -> None:
    """Create a quota and wait until it is counted."""
    succeed(place.create(build_quota(**hard)))
    eventually(lambda: place.read(build_quota())["status"].get("used"))


def wait_counted(place: Place, over: Manifest) -> None:
    """Wait until the quota refuses one more: it counts a moment after an object was made."""
    eventually(lambda: place.create(over, dryRun="All").status_code == 403)


def used(place: Place) -> Any:
    """Return what the quota says is used."""
    return place.read(build_quota())["status"]["used"]


def test_a_quota_says_what_is_used(place: Place) -> None:
    set_quota(place, pods="3", requests__cpu="500m", limits__memory="512Mi", services="2")
    assert used(place) == {
        "pods": "0",
        "requests.cpu": "0",
        "limits.memory": "0",
        "services": "0",
    }
    succeed(place.create(build_sized_pod("web", cpu="100m", memory="64Mi")))
    succeed(place.create(build_service()))
    counted = {"pods": "1", "requests.cpu": "100m", "limits.memory": "64Mi", "services": "1"}
    eventually(lambda: used(place) == counted)
    assert place.read(build_quota())["status"]["hard"]["limits.memory"] == "512Mi"


@pytest.mark.case("M12")
def test_a_pod_that_has_finished_counts_among_all_pods_alone(place: Place, node: str) -> None:
    set_quota(place, pods="3", **{"count/pods": "2"})
    job = build_job(completions=2, pod={"nodeName": node})
    succeed(place.create(job))
    eventually(lambda: place.read(job)["status"].get("succeeded") == 2, seconds=60)
    eventually(lambda: used(place) == {"pods": "0", "count/pods": "2"}, seconds=60)
    code, _, message = refusal(place.create(build_pod()))
    assert code == 403
    assert message.endswith(
        "exceeded quota: quota, requested: count/pods=1, used: count/pods=2, limited: count/pods=2"
    )
    succeed(place.delete(job, propagationPolicy="Background"))
    eventually(lambda: used(place) == {"pods": "0", "count/pods": "0"}, seconds=60)
    succeed(place.create(build_pod()))


def test_what_is_deleted_is_given_back(place: Place) -> None:
    set_quota(place, services="1")
    succeed(place.create(build_service()))
    succeed(place.delete(build_service()))
    eventually(lambda: used(place) == {"services": "0"})
    succeed(place.create(build_service()))


@pytest.mark.case("K17")
@pytest.mark.parametrize(
    ("hard", "first", "second", "text"),
    [
        (
            {"pods": "1"},
            build_pod("a"),
            build_pod("b"),
            "requested: pods=1, used: pods=1, limited: pods=1",
        ),
        (
            {"requests__cpu": "500m"},
            build_sized_pod("a", cpu="300m"),
            build_sized_pod("b", cpu="0.3"),
            "requested: requests.cpu=300m, used: requests.cpu=300m, limited: requests.cpu=500m",
        ),
        (
            {"limits__memory": "1Gi", "pods": "1"},
            build_sized_pod("a", memory="512Mi"),
            build_sized_pod("b", memory="1Gi"),
            (
                "requested: limits.memory=1Gi,pods=1, used: limits.memory=512Mi,pods=1,"
                " limited: limits.memory=1Gi,pods=1"
            ),
        ),
        (
            {"services": "1"},
            build_service("a"),
            build_service("b"),
            "requested: services=1, used: services=1, limited: services=1",
        ),
        (
            {"count/deployments.apps": "1"},
            build_deployment("a", replicas=0),
            build_deployment("b", replicas=0),
            (
                "requested: count/deployments.apps=1, used: count/deployments.apps=1,"
                " limited: count/deployments.apps=1"
            ),
        ),
        (
            {"count/cronjobs.batch": "1"},
            build_cron_job("a"),
            build_cron_job("b"),
            (
                "requested: count/cronjobs.batch=1, used: count/cronjobs.batch=1,"
                " limited: count/cronjobs.batch=1"
            ),
        ),
    ],
    ids=["pods", "requests", "several", "services", "deployments", "cronjobs"],
)
def test_what_exceeds_a_quota_is_403(
    place: Place, hard: dict[str, str], first: Manifest, second: Manifest, text: str
) -> None:
    set_quota(place, **hard)
    succeed(place.create(first))
    wait_counted(place, second)
    code, reason, message = refusal(place.create(second))
    assert (code, reason) == (403, "Forbidden")
    assert message.endswith(f'"b" is forbidden: exceeded quota: quota, {text}')
    assert place.get(second).status_code == 404


def test_a_quota_holds_for_an_apply_too(place: Place) -> None:
    set_quota(place, configmaps="2")
    succeed(place.apply(build_config_map("a")))
    succeed(place.apply(build_config_map("a", {"colour": "red"})))
    wait_counted(place, build_config_map("b"))
    code, _, message = refusal(place.apply(build_config_map("b")))
    assert (code, "exceeded quota: quota" in message) == (403, True)


def test_a_dry_run_uses_nothing_up(place: Place) -> None:
    set_quota(place, services="1")
    for _ in range(2):
        succeed(place.create(build_service(), dryRun="All"))
    assert used(place) == {"services": "0"}


def test_a_pod_must_say_what_a_quota_counts(place: Place) -> None:
    set_quota(place, requests__cpu="1", limits__memory="1Gi")
    code, _, message = refusal(place.create(build_pod()))
    assert code == 403
    assert message == (
        'pods "web" is forbidden: failed quota: quota: must specify limits.memory for: web;'
        " requests.cpu for: web"
    )


def test_limits_fill_in_what_a_container_leaves_out(place: Place) -> None:
    succeed(place.create(build_limit_range()))

    def resources() -> Any:
        pod = succeed(place.create(build_pod(), dryRun="All"))
        return pod["spec"]["containers"][0]["resources"]

    eventually(resources)
    assert resources() == {
        "requests": {"cpu": "50m", "memory": "32Mi"},
        "limits": {"cpu": "100m", "memory": "64Mi"},
    }


def test_limits_make_a_quotas_demands_met(place: Place) -> None:
    succeed(place.create(build_limit_range()))
    set_quota(place, requests__cpu="1", limits__memory="1Gi")
    succeed(place.create(build_pod()))
    eventually(lambda: used(place) == {"requests.cpu": "50m", "limits.memory": "64Mi"})


def test_a_container_over_the_maximum_is_403(place: Place) -> None:
    succeed(place.create(build_limit_range()))
    code, reason, message = refusal(place.create(build_sized_pod("web", cpu="1", memory="1Gi")))
    assert (code, reason) == (403, "Forbidden")
    # The real server names them in no order.
    assert message.startswith('pods "web" is forbidden: [maximum ')
    for name, most, limit in (("cpu", "500m", "1"), ("memory", "256Mi", "1Gi")):
        text = f"maximum {name} usage per Container is {most}, but limit is {limit}"
        assert text in message


def test_a_request_over_its_limit_is_422(place: Place) -> None:
    resources = {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}
    answer = place.create(build_pod("web", build_container(resources=resources)))
    code, _, message = refusal(answer)
    assert (code, "must be less than or equal to cpu limit of 1" in message) == (422, True)


def without(field: str) -> Manifest:
    """Return a container that is restricted but for one field."""
    return build_container(securityContext={k: v for k, v in RESTRICTED.items() if k != field})


def with_context(**context: Any) -> Manifest:
    """Return a container that is restricted but for what is given."""
    return build_container(securityContext=RESTRICTED | context)


GOOD = build_container(securityContext=RESTRICTED)

VIOLATIONS: list[tuple[Manifest, str]] = [
    (
        build_pod("web", without("allowPrivilegeEscalation")),
        (
            'allowPrivilegeEscalation != false (container "web" must set'
            " securityContext.allowPrivilegeEscalation=false)"
        ),
    ),
    (
        build_pod("web", without("capabilities")),
        (
            'unrestricted capabilities (container "web" must set'
            ' securityContext.capabilities.drop=["ALL"])'
        ),
    ),
    (
        build_pod("web", with_context(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]})),
        (
            'unrestricted capabilities (container "web" must not include "NET_RAW" in'
            " securityContext.capabilities.add)"
        ),
    ),
    (
        build_pod("web", without("runAsNonRoot")),
        'runAsNonRoot != true (pod or container "web" must set securityContext.runAsNonRoot=true)',
    ),
    (
        build_pod("web", with_context(runAsNonRoot=False)),
        'runAsNonRoot != true (container "web" must not set securityContext.runAsNonRoot=false)',
    ),
    (
        build_pod("web", with_context(runAsUser=0)),
        'runAsUser=0 (container "web" must not set runAsUser=0)',
    ),
    (
        build_pod("web", without("seccompProfile")),
        (
            'seccompProfile (pod or container "web" must set securityContext.seccompProfile.type to'
            ' "RuntimeDefault" or "Localhost")'
        ),
    ),
    (
        build_pod("web", with_context(seccompProfile={"type": "Unconfined"})),
        (
            'seccompProfile (container "web" must not set securityContext.seccompProfile.type to'
            ' "Unconfined")'
        ),
    ),
    (
        build_pod("web", GOOD, hostNetwork=True, hostIPC=True),
        "host namespaces (hostNetwork=true, hostIPC=true)",
    ),
    (
        build_pod("web", GOOD | {"ports": [{"containerPort": 80, "hostPort": 80}]}),
        'hostPort (container "web" uses hostPort 80)',
    ),
    (
        build_pod("web", GOOD, volumes=[{"name": "root", "hostPath": {"path": "/"}}]),
        'restricted volume types (volume "root" uses restricted volume type "hostPath")',
    ),
    (
        build_pod(
            "web", GOOD | {"livenessProbe": {"httpGet": {"port": 80, "host": "169.254.169.254"}}}
        ),
        'probe or lifecycle host (container "web" uses probe or lifecycle host "169.254.169.254")',
    ),
    (
        build_pod("web", with_context(appArmorProfile={"type": "Unconfined"})),
        (
            'forbidden AppArmor profile (container "web" must not set AppArmor profile type to'
            ' "Unconfined")'
        ),
    ),
    (
        build_pod("web", with_context(seLinuxOptions={"type": "spc_t", "user": "me"})),
        (
            'seLinuxOptions (container "web" set forbidden securityContext.seLinuxOptions: type'
            ' "spc_t"; user may not be set)'
        ),
    ),
    (
        build_pod(
            "web",
            GOOD,
            securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]},
        ),
        "forbidden sysctls (kernel.msgmax)",
    ),
    (
        build_pod("web", without("runAsNonRoot"), without("runAsNonRoot") | {"name": "side"}),
        (
            'runAsNonRoot != true (pod or containers "web", "side" must set'
            " securityContext.runAsNonRoot=true)"
        ),
    ),
]


@pytest.fixture
def restricted_place(make_place: MakePlace) -> Place:
    """A namespace that enforces the restricted level and warns of it."""
    return make_place(enforce="restricted", warn="restricted")


@pytest.mark.parametrize(("pod", "text"), VIOLATIONS, ids=[text for _, text in VIOLATIONS])
def test_a_pod_that_is_not_restricted_is_403(
    restricted_place: Place, pod: Manifest, text: str
) -> None:
    code, reason, message = refusal(restricted_place.create(pod))
    assert (code, reason) == (403, "Forbidden")
    assert message == f'pods "web" is forbidden: violates PodSecurity "restricted:latest": {text}'


def test_a_restricted_pod_is_let_in(restricted_place: Place) -> None:
    volumes = [{"name": "scratch", "emptyDir": {}}]
    answer = restricted_place.create(build_pod("web", GOOD, volumes=volumes))
    assert (answer.status_code, "warning" in answer.headers) == (201, False)


def test_what_the_pod_says_counts_for_its_containers(restricted_place: Place) -> None:
    context = {name: RESTRICTED[name] for name in ("runAsNonRoot", "seccompProfile")}
    own = {name: RESTRICTED[name] for name in ("allowPrivilegeEscalation", "capabilities")}
    container = build_container(securityContext=own)
    succeed(restricted_place.create(build_pod("web", container, securityContext=context)))


def test_every_rule_that_a_pod_breaks_is_named_in_order(restricted_place: Place) -> None:
    container = build_container(securityContext={"privileged": True})
    message = refusal(restricted_place.create(build_pod("web", container, hostPID=True)))[2]
    reasons = [
        "host namespaces (",
        "privileged (",
        "allowPrivilegeEscalation != false (",
        "unrestricted capabilities (",
        "runAsNonRoot != true (",
        "seccompProfile (",
    ]
    positions = [message.index(reason) for reason in reasons]
    assert positions == sorted(positions)


@pytest.mark.parametrize("manifest", [build_deployment(), build_cron_job()])
def test_what_makes_pods_is_let_in_with_a_warning(
    restricted_place: Place, manifest: Manifest
) -> None:
    answer = restricted_place.apply(manifest)
    assert answer.status_code == 201
    assert answer.headers["warning"].startswith(
        '299 - "would violate PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation'
    )


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (
            build_pod("web", build_container(securityContext={"privileged": True})),
            'privileged (container "web" must not set securityContext.privileged=true)',
        ),
        (
            build_pod(
                "web", build_container(securityContext={"capabilities": {"add": ["NET_RAW"]}})
            ),
            (
                'non-default capabilities (container "web" must not include "NET_RAW" in'
                " securityContext.capabilities.add)"
            ),
        ),
        (
            build_pod("web", volumes=[{"name": "root", "hostPath": {"path": "/"}}]),
            'hostPath volumes (volume "root")',
        ),
    ],
)
def test_the_baseline_level_refuses_less(make_place: MakePlace, pod: Manifest, text: str) -> None:
    baseline = make_place(enforce="baseline")
    succeed(baseline.create(build_pod("plain")))
    message = refusal(baseline.create(pod))[2]
    assert message == f'pods "web" is forbidden: violates PodSecurity "baseline:latest": {text}'


def test_a_pod_without_its_service_account_is_403(place: Place) -> None:
    answer = place.create(build_pod("web", serviceAccountName="ghost"))
    code, _, message = refusal(answer)
    assert (code, "error looking up service account" in message) == (403, True)


def test_validation_comes_before_policy(restricted_place: Place) -> None:
    assert refusal(restricted_place.create(build_pod("web", {"name": "web"})))[0] == 422
