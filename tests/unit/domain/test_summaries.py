"""What agents are shown of pods, deployments, jobs and events."""

from typing import Any

import pytest

from chalicelib.domain.summaries import (
    explain,
    summarise_cron_job,
    summarise_deployment,
    summarise_ingress_route,
    summarise_job,
    summarise_pod,
    summarise_quota,
)


def create_thing(name: str = "web", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "creationTimestamp": "2026-11-24T09:00:00Z"}
    return {"metadata": metadata, **fields}


def create_pod(state: dict[str, Any], *, phase: str = "Pending", **status: Any) -> dict[str, Any]:
    container_status = {"name": "web", "ready": False, "restartCount": 3, "state": state}
    return create_thing(
        spec={"containers": [{"name": "web", "image": "web:1", "env": [{"value": "x"}]}]},
        status={"phase": phase, "containerStatuses": [container_status], **status},
    )


def create_event(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    told = {
        "type": "Warning",
        "reason": "FailedCreate",
        "message": "why",
        "lastTimestamp": "2026-11-24T09:00:00Z",
        "involvedObject": {"kind": kind, "name": name},
    }
    return create_thing(f"{name}.1", **(told | fields))


def test_a_pod_without_status_is_unknown_and_not_ready() -> None:
    summary = summarise_pod(create_thing(spec={"containers": [{"name": "web", "image": "w"}]}))
    assert (summary["status"], summary["ready"], summary["restarts"]) == ("Unknown", False, 0)


def test_a_pod_tells_why_it_waits() -> None:
    waiting = create_pod({"waiting": {"reason": "CrashLoopBackOff"}}, phase="Running")
    assert summarise_pod(waiting)["reason"] == "CrashLoopBackOff"
    assert summarise_pod(waiting)["restarts"] == 3
    starting = create_pod({"waiting": {"reason": "ContainerCreating"}})
    assert summarise_pod(starting)["reason"] is None
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pod = create_thing(spec={"containers": []}, status={"conditions": [unschedulable]})
    assert summarise_pod(pod)["reason"] == "Unschedulable"
    evicted = create_thing(spec={"containers": []}, status={"reason": "Evicted"})
    assert summarise_pod(evicted)["reason"] == "Evicted"


def test_a_pod_that_is_being_deleted_says_so() -> None:
    pod = create_pod({"running": {}}, phase="Running")
    pod["metadata"]["deletionTimestamp"] = "2026-11-24T09:00:00Z"
    assert summarise_pod(pod)["status"] == "Terminating"


def test_a_finished_pod_needs_no_reason() -> None:
    pod = create_pod({"terminated": {"reason": "Completed"}}, phase="Succeeded")
    assert summarise_pod(pod)["reason"] is None


def test_a_deployment_scaled_to_nothing_is_0_of_0() -> None:
    assert summarise_deployment(create_thing(spec={"replicas": 0}))["replicas"] == "0/0"
    assert summarise_deployment(create_thing(spec={}))["replicas"] == "0/1"


def test_jobs_and_cron_jobs() -> None:
    done = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
    failed = {"conditions": [{"type": "Failed", "status": "True"}]}
    assert summarise_job(create_thing(spec={}, status=done))["status"] == "Complete"
    assert summarise_job(create_thing(spec={}, status=failed))["status"] == "Failed"
    running = summarise_job(create_thing(spec={"completions": 2}))
    assert (running["status"], running["completions"]) == ("Running", "0/2")
    cron = summarise_cron_job(create_thing(spec={"schedule": "0 * * * *"}))
    assert (cron["schedule"], cron["suspended"], cron["last_scheduled"]) == (
        *("0 * * * *", False),
        None,
    )


def test_a_route_without_a_plain_host_has_no_hostname() -> None:
    assert summarise_ingress_route(create_thing())["hostname"] is None
    route = create_thing(spec={"routes": [{"match": "HostRegexp(`.*`)"}]})
    assert summarise_ingress_route(route)["hostname"] is None


def test_a_quota_whose_use_is_not_counted_yet_shows_its_limits() -> None:
    assert summarise_quota(None) is None
    quota = {"spec": {"hard": {"pods": "3"}}}
    assert summarise_quota(quota) == {"hard": {"pods": "3"}, "used": {}}


def test_warnings_are_shown_while_what_they_are_about_does_not_run() -> None:
    short = create_thing(spec={"replicas": 2}, status={"readyReplicas": 1, "updatedReplicas": 1})
    fine = create_thing("api", spec={}, status={"readyReplicas": 1, "updatedReplicas": 1})
    events = [
        create_event("ReplicaSet", "web-5d8f"),
        create_event("ReplicaSet", "api-77aa"),
        create_event("Pod", "gone"),
        create_event("Deployment", "web", lastTimestamp="2026-11-24T10:00:00Z"),
        create_event("Deployment", "web") | {"type": "Normal"},
    ]
    shown = explain(events, pods=[], deployments=[short, fine], jobs=[])
    assert [(each["kind"], each["name"]) for each in shown] == [
        ("Deployment", "web"),
        ("ReplicaSet", "web-5d8f"),
    ]
    assert shown[0].keys() == {"kind", "name", "reason", "message", "count", "last_seen"}


@pytest.mark.parametrize(("kind", "name"), [("ReplicaSet", "web-5d8f"), ("Deployment", "web")])
@pytest.mark.parametrize(
    ("told_at", "is_shown"),
    [
        ("2026-11-24T08:59:59Z", False),
        ("2026-11-24T09:00:00Z", True),
        ("2026-11-24T09:00:00.000001Z", True),
    ],
)
def test_what_was_told_of_a_namesake_that_is_gone_is_left_out(
    kind: str, name: str, told_at: str, *, is_shown: bool
) -> None:
    made_at_nine = create_thing(spec={"replicas": 1}, status={})
    event = create_event(kind, name, lastTimestamp=told_at)
    assert bool(explain([event], pods=[], deployments=[made_at_nine], jobs=[])) is is_shown


def test_a_rollout_that_is_stuck_behind_old_replicas_is_explained() -> None:
    stuck = create_thing(spec={"replicas": 1}, status={"readyReplicas": 1, "updatedReplicas": 0})
    events = [create_event("ReplicaSet", "web-5d8f")]
    assert explain(events, pods=[], deployments=[stuck], jobs=[])


def test_long_messages_are_cut_and_many_events_too() -> None:
    pod = create_pod({"waiting": {}})
    events = [create_event("Pod", "web") | {"message": "x" * 5000} for _ in range(80)]
    shown = explain(events, pods=[pod], deployments=[], jobs=[])
    assert (len(shown), len(shown[0]["message"])) == (50, 1500)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            'Liveness probe failed: Get "http://10.42.0.9:8080/health/s3cret?key=s3cret": timeout',
            'Liveness probe failed: Get "http://10.42.0.9:8080/…": timeout',
        ),
        (
            'Readiness probe failed: command timed out: "sh -c check s3cret" timed out after 1s',
            'Readiness probe failed: command timed out: "…" timed out after 1s',
        ),
        (
            'Exec lifecycle hook ([sh -c s3cret ["a"]]) for Container "web" failed',
            'Exec lifecycle hook (…) for Container "web" failed',
        ),
        (
            'Failed to pull image "ghcr.io/friends/web:1": Head "https://u:s3cret@cdn.example#s3cret"',
            'Failed to pull image "ghcr.io/friends/web:1": Head "https://cdn.example/…"',
        ),
        ("dial https://u:s3cret@cdn.example: refused", "dial https://cdn.example: refused"),
        (
            r'command "sh -c curl -H \"Authorization: s3cret\" http://localhost" timed out',
            'command "…" timed out',
        ),
        (
            "hook ([x]) for Container \"c\" failed - error: command 'sh -c s3cret' exited with 1",
            'hook (…) for Container "c" failed - error: command "…" exited with 1',
        ),
        (
            'HTTP lifecycle hook (/hook?token=s3cret) for Container "c" failed',
            'HTTP lifecycle hook (…) for Container "c" failed',
        ),
        (
            'exec: "--password=s3cret": stat --password=s3cret: no such file or directory',
            'exec: "…": stat …: no such file or directory',
        ),
        ("fork/exec /bin/s3cret: permission denied", "fork/exec …: permission denied"),
        ('it ends in "the midst of s3cret', 'it ends in "…"'),
        (
            'Exec lifecycle hook ([sh -c $([ -f x ])\nlogin s3cret\n]) for Container "c" failed',
            'Exec lifecycle hook (…) for Container "c" failed',
        ),
        (
            'exec: "/bin/sh -c run s3cret": stat /bin/sh -c run s3cret: no such file or directory',
            'exec: "…": stat …: no such file or directory',
        ),
        (r'command "cat<<E\ns3cret\nE" timed out', 'command "…" timed out'),
        ('the value "--token=s3cret" is wrong', 'the value "…" is wrong'),
        ("executable file `sh -c s3cret` not found", 'executable file "…" not found'),
        ("it says “sh -c s3cret” is wrong", 'it says "…" is wrong'),
        (
            "dial https://u:s3cret/x+A=@cdn.example/x: refused",
            "dial https://cdn.example/…: refused",
        ),
        ("dial redis://:p@s3cret@cache:6379: refused", "dial redis://cache:6379: refused"),
        (f"{'x' * 1400} https://u:{'s3cret' * 99}@h/p", f"{'x' * 1400} https://h/…"),
        ('it ends in "the midst of \\', 'it ends in "…"'),
        ("it ends in 'the midst of s3cret", 'it ends in "…"'),
        ('it ends in exec: "s3cret', 'it ends in exec: "…"'),
        ("it ends in stat s3cret", "it ends in stat …"),
        ("it ends in hook ([s3cret", "it ends in hook (…)"),
    ],
)
def test_f02_f03_an_event_quotes_no_command_and_of_a_url_its_host_alone(
    told: str, shown: str
) -> None:
    assert message_of(told) == shown


@pytest.mark.parametrize(
    "told",
    [
        'pods "web-1" is forbidden: exceeded quota: friend-quota, requested: pods=1, used: pods=3',
        'MountVolume.SetUp failed for volume "v" : secret "app" not found',
        'violates PodSecurity "restricted:latest": (container "web" must set drop=["ALL"])',
        'Get "http://10.42.0.9:8080/": connection refused',
        "It's said that a pod's volume can't be mounted: 'v'",
    ],
)
def test_the_rest_of_an_event_is_told_as_it_is(told: str) -> None:
    assert message_of(told) == told


def message_of(told: str) -> str:
    event, pod = create_event("Pod", "web", message=told), create_pod({"waiting": {}})
    (shown,) = explain([event], pods=[pod], deployments=[], jobs=[])
    return shown["message"]
