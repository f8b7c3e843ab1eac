"""What is told of applied objects: ready, on the way, or why not. By hand-made and by live ones."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain import kinds
from chalicelib.domain.errors import UpstreamFailed
from chalicelib.domain.kinds import Kind, ObjectRef, ref_of
from chalicelib.domain.namespace import build_namespace_objects
from chalicelib.domain.rollouts import Observation, Readiness, Verdict, judge
from chalicelib.domain.summaries import well_formed
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient, create_deployment, wait_until
from tests.factories import create_friend, create_layout

FRIEND = create_friend()
WEB = ObjectRef(kinds.DEPLOYMENT, "web", FRIEND.namespace)
ONCE = ObjectRef(kinds.JOB, "once", FRIEND.namespace)
EARLY, NOON, LATE = (f"2026-11-24T{hour}:00:00Z" for hour in ("09", "12", "15"))
QUOTA = (
    'pods "web-new-x" is forbidden: exceeded quota: friend-quota, requested: pods=1, used: pods=3, '
    "limited: pods=3"
)
POD_SECURITY = (
    'pods "web-new-x" is forbidden: violates PodSecurity "restricted:latest": '
    'runAsNonRoot != true (pod or container "web" must set securityContext.runAsNonRoot=true)'
)
Object = dict[str, Any]


def create_rollout(*conditions: Object, **fields: Any) -> Object:
    """Return a Deployment of one replica whose current ReplicaSet, web-new, has no pod yet."""
    progressing = {
        "type": "Progressing",
        "status": "True",
        "reason": "ReplicaSetUpdated",
        "message": 'ReplicaSet "web-new" is progressing.',
    }
    return {
        "metadata": {"name": "web", "generation": 2, "creationTimestamp": EARLY},
        "spec": {"replicas": 1, **fields.pop("spec", {})},
        "status": {"observedGeneration": 2, "conditions": [*conditions, progressing], **fields},
    }


def create_counts(replicas: int, updated: int, available: int) -> dict[str, int]:
    return {"replicas": replicas, "updatedReplicas": updated, "availableReplicas": available}


def create_pod(
    state: Object | None = None,
    *,
    owner: tuple[str, str] = ("ReplicaSet", "web-new"),
    created: str = NOON,
    initial: bool = False,
    **status: Any,
) -> Object:
    """Return a pod of the current ReplicaSet with one container in this state."""
    kind, name = owner
    group = "initContainerStatuses" if initial else "containerStatuses"
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    container = {"name": "web", "state": state or {}, "lastState": ended}
    return {
        "metadata": {
            "name": f"{name}-x",
            "uid": "1",
            "creationTimestamp": created,
            "labels": {"pod-template-hash": name.rpartition("-")[2]},
            "ownerReferences": [{"kind": kind, "name": name, "uid": "2"}],
        },
        "spec": {"restartPolicy": "Never" if kind == "Job" else "Always"},
        "status": {"phase": "Pending", group: [container], **status},
    }


def create_job(*conditions: Object, **fields: Any) -> Object:
    return {
        "metadata": {"name": "once", "uid": "2", "creationTimestamp": EARLY},
        "spec": {"completions": 1, **fields},
        "status": {"conditions": list(conditions)},
    }


def create_job_pod(state: Object, **fields: Any) -> Object:
    return create_pod(state, owner=("Job", "once"), **fields)


def create_event(kind: str, name: str, reason: str, message: str = "", **fields: Any) -> Object:
    return {
        "metadata": {"name": f"{name}.1", "creationTimestamp": EARLY},
        "involvedObject": {"kind": kind, "name": name, "uid": "1"},
        "reason": reason,
        "message": message,
        "lastTimestamp": NOON,
        **fields,
    }


def create_condition(name: str, reason: str = "", message: str = "", status: str = "True") -> Any:
    return {"type": name, "status": status, "reason": reason, "message": message}


def observe(
    *,
    deployment: Object | None = None,
    job: Object | None = None,
    pods: tuple[Object, ...] = (),
    events: tuple[Object, ...] = (),
) -> Observation:
    deployments, jobs = ([each] if each else [] for each in (deployment, job))
    return Observation(deployments, jobs, list(pods), list(events))


def judge_web(deployment: Object, *pods: Object, events: tuple[Object, ...] = ()) -> Verdict:
    return judge(WEB, observe(deployment=deployment, pods=pods, events=events))


def judge_once(job: Object, *pods: Object, events: tuple[Object, ...] = ()) -> Verdict:
    return judge(ONCE, observe(job=job, pods=pods, events=events))


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error") -> Object:
    return {"terminated": {"exitCode": code, "reason": reason}}


def outcome(verdict: Verdict) -> tuple[str, str | None]:
    return verdict.readiness, verdict.reason


@pytest.mark.parametrize("kind", [kinds.SERVICE, kinds.CONFIG_MAP, kinds.CRON_JOB])
def test_what_has_no_rollout_is_ready_at_once(kind: Kind) -> None:
    assert judge(ObjectRef(kind, "web"), observe()) == Verdict(Readiness.READY)


@pytest.mark.parametrize("gone", [None, {"deletionTimestamp": LATE}])
@pytest.mark.parametrize("ref", [WEB, ONCE])
def test_what_was_deleted_meanwhile_has_failed(ref: ObjectRef, gone: Object | None) -> None:
    deployment, job = create_rollout(), create_job()
    for each in (deployment, job):
        each["metadata"] |= gone or {}
    observed = observe(deployment=deployment, job=job) if gone else observe()
    assert outcome(judge(ref, observed)) == ("failed", "missing")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (create_counts(1, 1, 1), ("ready", None)),
        (create_counts(1, 1, 1) | {"observedGeneration": 1}, ("waiting", "not_started")),
        (create_counts(1, 1, 1) | {"observedGeneration": None}, ("waiting", "not_started")),
        (create_counts(1, 1, 1) | {"spec": {"replicas": None}}, ("ready", None)),
        ({"spec": {"replicas": 0}}, ("ready", None)),
        (create_counts(1, 1, 1) | {"spec": {"replicas": 0}}, ("waiting", "rolling_out")),
        (create_counts(2, 1, 2), ("waiting", "rolling_out")),
        (create_counts(1, 0, 1), ("waiting", "rolling_out")),
        (create_counts(1, 1, 0), ("waiting", "rolling_out")),
        (create_counts(1, 1, 1) | {"spec": {"paused": True}}, ("ready", None)),
        (create_counts(1, 0, 1) | {"spec": {"paused": True}}, ("failing", "paused")),
    ],
)
def test_a_deployment_is_ready_when_all_its_replicas_are_new_and_available(
    fields: Object, expected: tuple[str, str | None]
) -> None:
    assert outcome(judge_web(create_rollout(**fields))) == expected


def test_a_rollout_tells_how_far_it_is() -> None:
    verdict = judge_web(create_rollout(spec={"replicas": 3}, **create_counts(4, 2, 3)))
    assert verdict.message == (
        "Of 3 replicas wanted, 2 are new and 3 available; 2 old ones are left. Wait."
    )


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (waiting("ImagePullBackOff"), "image_pull"),
        (waiting("ErrImagePull"), "image_pull"),
        (waiting("InvalidImageName"), "image_pull"),
        (waiting("CreateContainerConfigError"), "container_config"),
        (waiting("RunContainerError"), "container_config"),
        (waiting("CrashLoopBackOff"), "crash_loop"),
        (ended(1), "crash_loop"),
        (ended(0, "Completed"), "crash_loop"),
    ],
)
def test_a_pod_of_the_current_replica_set_tells_what_is_wrong(state: Object, reason: str) -> None:
    assert outcome(judge_web(create_rollout(), create_pod(state))) == ("failing", reason)


@pytest.mark.parametrize(
    "state",
    [waiting("ContainerCreating"), waiting("PodInitializing"), {"running": {}}, {}, ended(0)],
)
def test_a_pod_that_starts_is_no_trouble(state: Object) -> None:
    initial = "terminated" in state
    verdict = judge_web(create_rollout(), create_pod(state, initial=initial))
    assert verdict.readiness is Readiness.WAITING


def test_an_init_container_that_crashes_is_told() -> None:
    pod = create_pod(waiting("CrashLoopBackOff"), initial=True)
    assert outcome(judge_web(create_rollout(), pod)) == ("failing", "crash_loop")


CRASH = waiting("CrashLoopBackOff")


@pytest.mark.parametrize(
    "pod",
    [
        create_pod(CRASH, owner=("ReplicaSet", "web-old"), created=LATE),
        create_pod(CRASH, owner=("ReplicaSet", "web-api-new")),
        create_pod(CRASH, owner=("StatefulSet", "web-new")),
        create_pod(CRASH, phase="Failed"),
        {**create_pod(CRASH), "metadata": create_pod()["metadata"] | {"deletionTimestamp": LATE}},
        {**create_pod(CRASH), "metadata": {"name": "web-new-x", "creationTimestamp": LATE}},
    ],
)
def test_a_pod_that_is_not_of_the_current_rollout_does_not_count(pod: Object) -> None:
    assert outcome(judge_web(create_rollout(), pod)) == ("waiting", "rolling_out")


def test_without_the_name_of_the_replica_set_the_newest_pods_are_the_current_ones() -> None:
    deployment = create_rollout()
    deployment["status"]["conditions"] = []
    new = create_pod(waiting("ErrImagePull"), created=LATE)
    old = create_pod(CRASH, owner=("ReplicaSet", "web-old"))
    assert judge_web(deployment, old, new).reason == "image_pull"
    assert judge_web(deployment).reason == "rolling_out"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (CRASH, "exit code 3 (Error)"),
        (CRASH, "GET /api/friends/<id>/namespace/logs/web-new-x?container=web&previous=true shows"),
        (ended(1), "GET /api/friends/<id>/namespace/logs/web-new-x?container=web shows"),
        (ended(137, "OOMKilled"), "raise the limit"),
        (ended(128, "StartError"), "correct command"),
        (ended(1, "<b>no word</b>"), "ended with exit code 1."),
        (ended(0, "Completed"), "has to keep running"),
        (waiting("ErrImagePull"), "image of container web cannot be pulled"),
        (
            waiting("CreateContainerConfigError", 'configmap "settings" not found'),
            "there is no configmap settings.",
        ),
        (
            waiting("CreateContainerConfigError", "couldn't find key port in ConfigMap ns/it"),
            "a ConfigMap has no key port.",
        ),
        (
            waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run"),
            "its image runs as root.",
        ),
        (waiting("CreateContainerError", "token=hunter2"), "correct its command, environment"),
    ],
)
def test_a_message_says_what_to_do(state: Object, words: str) -> None:
    message = judge_web(create_rollout(), create_pod(state)).message
    assert message is not None
    assert words in message
    assert "hunter2" not in message


def test_a_pod_that_no_node_takes_is_told() -> None:
    text = "0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory."
    condition = create_condition("PodScheduled", "Unschedulable", text, "False")
    verdict = judge_web(create_rollout(), create_pod(conditions=[condition]))
    assert outcome(verdict) == ("failing", "unschedulable")
    assert "no node with enough cpu and memory" in str(verdict.message)
    condition["message"] = "0/3 nodes are available: <i>anything</i>"
    assert "that it may run on" in str(
        judge_web(create_rollout(), create_pod(conditions=[condition])).message
    )


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('MountVolume.SetUp failed for volume "v" : configmap "x" not found', "no configmap x."),
        ("timed out", "see GET /api/friends/<id>/namespace/status."),
    ],
)
def test_a_volume_that_cannot_be_mounted_is_told_by_the_last_event(
    message: str, words: str
) -> None:
    pod = create_pod(waiting("ContainerCreating"))
    mount = create_event("Pod", "web-new-x", "FailedMount", message)
    verdict = judge_web(create_rollout(), pod, events=(mount,))
    assert outcome(verdict) == ("failing", "volume_mount")
    assert words in str(verdict.message)
    pulling = create_event("Pod", "web-new-x", "Pulling")
    assert judge_web(create_rollout(), pod, events=(mount, pulling)).reason == "rolling_out"
    pod["status"]["phase"] = "Running"
    assert judge_web(create_rollout(), pod, events=(mount,)).reason == "rolling_out"
    pod["status"]["phase"] = "Pending"
    mount["involvedObject"]["uid"] = "another pod's"
    assert judge_web(create_rollout(), pod, events=(mount,)).reason == "rolling_out"


def test_a_container_that_is_not_ready_is_told() -> None:
    verdict = judge_web(create_rollout(), create_pod({"running": {}}, phase="Running"))
    assert outcome(verdict) == ("waiting", "not_ready")
    assert "look at its readinessProbe" in str(verdict.message)


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        (QUOTA, "quota_exceeded", "requested pods=1, used pods=3, limited to pods=3."),
        (
            (
                "exceeded quota: friend-quota, requested: count/pods=1, used: count/pods=60,"
                " limited: count/pods=60"
            ),
            "quota_exceeded",
            "Finished pods count: a Job's go with it",
        ),
        (
            "exceeded quota: <b>, requested: all",
            "quota_exceeded",
            "The friend's quota admits no more of this.",
        ),
        (POD_SECURITY, "pod_security", "the restricted Pod Security Standard: runAsNonRoot != "),
        (f"{POD_SECURITY}<b>", "pod_security", "break the namespace's Pod Security Standard."),
        (
            f"{POD_SECURITY}, hosts {'x' * 65}",
            "pod_security",
            "securityContext.runAsNonRoot=true), hosts ….",
        ),
        (
            "maximum memory usage per Container is 256Mi, but limit is 1Gi",
            "limit_exceeded",
            "the maximum memory usage per Container is 256Mi, but the limit is 1Gi.",
        ),
        (
            "maximum cpu usage per Container is 1. No limit is specified",
            "limit_exceeded",
            "the maximum cpu usage per Container is 1, and nothing is said.",
        ),
        (
            'admission webhook "x" said: hunter2',
            "pods_refused",
            "GET /api/friends/<id>/namespace/status say why.",
        ),
    ],
)
def test_pods_that_are_refused_say_why(text: str, reason: str, words: str) -> None:
    failure = create_condition("ReplicaFailure", "FailedCreate", text)
    verdict = judge_web(create_rollout(failure))
    assert outcome(verdict) == ("failing", reason)
    assert words in str(verdict.message)
    assert "hunter2" not in str(verdict.message)


def test_no_text_of_the_cluster_is_told_at_length() -> None:
    text = POD_SECURITY + ", a rule (that is broken)" * 60
    verdict = judge_web(create_rollout(create_condition("ReplicaFailure", "FailedCreate", text)))
    assert len(str(verdict.message)) < 450
    pod = create_pod(waiting("ErrImagePull"))
    pod["status"]["containerStatuses"][0]["name"] = "x" * 200
    assert "x" * 65 not in str(judge_web(create_rollout(), pod).message)


@pytest.mark.parametrize(
    ("fields", "told"),
    [(create_counts(3, 0, 3), True), (create_counts(3, 3, 3) | {"spec": {"replicas": 4}}, False)],
)
def test_an_update_that_quota_has_no_room_for_tells_of_bounds_that_need_none(
    fields: Any, told: bool
) -> None:
    failure = create_condition("ReplicaFailure", "FailedCreate", QUOTA)
    message = str(judge_web(create_rollout(failure, **fields)).message)
    advice = 'with spec.strategy {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}} it needs'
    assert (advice in message) is told


def test_a_replica_set_that_is_refused_is_told_before_the_generation_is_seen() -> None:
    progress = create_condition("Progressing", "ReplicaSetCreateError", QUOTA, "False")
    deployment = create_rollout(progress, observedGeneration=1)
    assert outcome(judge_web(deployment)) == ("failing", "quota_exceeded")


@pytest.mark.parametrize(
    ("fields", "pods", "reason"),
    [
        ({}, [], "quota_exceeded"),
        ({"lastTimestamp": None, "eventTime": "2026-11-24T12:00:00.1Z"}, [], "quota_exceeded"),
        ({}, [create_pod(created=NOON)], "quota_exceeded"),
        ({}, [create_pod(created=LATE)], "rolling_out"),
        ({"lastTimestamp": "2026-11-24T08:00:00Z"}, [], "rolling_out"),
        ({"reason": "SuccessfulCreate"}, [], "rolling_out"),
    ],
)
def test_an_event_counts_while_it_is_the_last_that_was_heard(
    fields: Object, pods: list[Object], reason: str
) -> None:
    event = create_event("ReplicaSet", "web-new", "FailedCreate", f"Error creating: {QUOTA}")
    assert judge_web(create_rollout(), *pods, events=(event | fields,)).reason == reason


@pytest.mark.parametrize(
    ("kind", "name"), [("ReplicaSet", "web-old"), ("ReplicaSet", "api-new"), ("Pod", "web-new")]
)
def test_an_event_about_something_else_does_not_count(kind: str, name: str) -> None:
    event = create_event(kind, name, "FailedCreate", QUOTA)
    assert judge_web(create_rollout(), events=(event,)).reason == "rolling_out"


@pytest.mark.parametrize(
    ("pods", "reason"), [([], "progress_deadline"), ([create_pod(CRASH)], "crash_loop")]
)
def test_a_rollout_past_its_deadline_has_failed(pods: list[Object], reason: str) -> None:
    text = 'ReplicaSet "web-new" has timed out progressing.'
    late = create_condition("Progressing", "ProgressDeadlineExceeded", text, "False")
    assert outcome(judge_web(create_rollout(late), *pods)) == ("failed", reason)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (create_condition("Complete"), ("ready", None)),
        (create_condition("Complete", status="False"), ("waiting", "job_running")),
        (create_condition("FailureTarget"), ("waiting", "job_running")),
        (create_condition("Failed", "BackoffLimitExceeded"), ("failed", "job_failed")),
        (create_condition("Failed", "DeadlineExceeded"), ("failed", "job_deadline")),
    ],
)
def test_a_job_is_ready_when_it_is_complete(condition: Object, expected: tuple[str, Any]) -> None:
    assert outcome(judge_once(create_job(condition))) == expected


def test_a_job_tells_how_far_it_is() -> None:
    assert judge_once(create_job()).message == "0 of 1 completions are done. Wait."
    assert outcome(judge_once(create_job(suspend=True))) == ("failing", "suspended")


def test_a_job_that_failed_tells_how_its_last_pod_ended() -> None:
    failed = create_job(create_condition("Failed", "BackoffLimitExceeded"))
    first = create_job_pod(ended(1), phase="Failed", created=EARLY)
    last = create_job_pod(ended(2), phase="Failed")
    assert "exit code 2 (Error)" in str(judge_once(failed, first, last).message)
    assert "events" in str(judge_once(failed).message)


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (create_job_pod(ended(1), phase="Failed"), ("waiting", "job_retrying")),
        (create_job_pod(CRASH), ("waiting", "job_retrying")),
        (create_job_pod(ended(0), phase="Running"), ("waiting", "job_running")),
        (create_job_pod(ended(143), phase="Succeeded"), ("waiting", "job_running")),
        (create_job_pod(waiting("ImagePullBackOff")), ("failing", "image_pull")),
        (create_job_pod(waiting("ErrImagePull"), phase="Failed"), ("waiting", "job_running")),
        (create_pod(CRASH), ("waiting", "job_running")),
    ],
)
def test_a_crash_of_a_job_is_followed_by_another_try(pod: Object, expected: Any) -> None:
    assert outcome(judge_once(create_job(), pod)) == expected


def test_the_pods_of_an_earlier_job_of_the_name_do_not_count() -> None:
    pod = create_job_pod(waiting("ImagePullBackOff"))
    pod["metadata"]["ownerReferences"][0]["uid"] = "another"
    assert judge_once(create_job(), pod).reason == "job_running"


def test_a_pod_of_a_job_that_is_on_its_way_out_does_not_count() -> None:
    pod = create_job_pod(waiting("ImagePullBackOff"))
    pod["metadata"]["deletionTimestamp"] = LATE
    assert judge_once(create_job(), pod).reason == "job_running"


def test_a_job_whose_pods_are_refused_says_why() -> None:
    event = create_event("Job", "once", "FailedCreate", f"Error creating: {QUOTA}")
    assert outcome(judge_once(create_job(), events=(event,))) == ("failing", "quota_exceeded")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("Completed", ("ready", None)), ("SuccessfulCreate", ("failed", "missing"))],
)
def test_a_job_that_went_after_it_was_done_is_told_by_its_last_event(
    reason: str, expected: tuple[str, str | None]
) -> None:
    done = create_event("Job", "once", "Completed", lastTimestamp=EARLY)
    last = create_event("Job", "once", reason)
    assert outcome(judge(ONCE, observe(events=(done, last)))) == expected


@pytest.mark.parametrize(
    "deployment",
    [
        {"metadata": {"name": "web"}},
        create_rollout(conditions="none"),
        create_rollout(observedGeneration="2"),
        {**create_rollout(), "status": ["odd"]},
    ],
)
def test_what_is_no_deployment_is_the_clusters_fault(deployment: Object) -> None:
    with pytest.raises(UpstreamFailed), well_formed():
        judge_web(deployment)


# What follows asks the double of an API server, in a namespace as friends have it.


@pytest.fixture
def cluster(kube: ClusterDouble) -> ClusterClient:
    """A cluster with a friend's namespace."""
    client = ClusterClient(kube.kubeconfig())
    for manifest in build_namespace_objects(FRIEND, create_layout()):
        apply(client, manifest)
    return client


def apply(client: ClusterClient, manifest: Object) -> None:
    path = f"{collection(ref_of(manifest).kind)}/{manifest['metadata']['name']}?fieldManager=tests"
    status, answer = client.call("PATCH", path, manifest, "application/apply-patch+yaml")
    assert status < 300, answer


def collection(kind: Kind) -> str:
    prefix = f"/{'apis' if kind.group else 'api'}/{kind.api_version}"
    return (
        f"{prefix}/namespaces/{FRIEND.namespace}/{kind.plural}"
        if kind.namespaced
        else (f"{prefix}/{kind.plural}")
    )


def look(client: ClusterClient, ref: ObjectRef = WEB) -> Verdict:
    watched = (kinds.DEPLOYMENT, kinds.JOB, kinds.POD, kinds.EVENT)
    with well_formed():
        return judge(ref, Observation(*(client.get(collection(each))["items"] for each in watched)))


def expect(client: ClusterClient, readiness: str, reason: str | None, ref: ObjectRef = WEB) -> str:
    wait_until(lambda: outcome(look(client, ref)) == (readiness, reason))
    return str(look(client, ref).message)


def create_workload(image: str = "registry.example/web:1", replicas: int = 1) -> Object:
    return create_deployment("web", image=image, replicas=replicas)


def create_work(image: str = "registry.example/work:1", **spec: Any) -> Object:
    pod = create_workload(image)["spec"]["template"]["spec"] | {"restartPolicy": "Never"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": FRIEND.namespace},
        "spec": {"template": {"spec": pod}, **spec},
    }


def test_a_live_deployment_becomes_ready(cluster: ClusterClient) -> None:
    apply(cluster, create_workload(replicas=2))
    expect(cluster, "ready", None)
    apply(cluster, create_workload(replicas=0))
    expect(cluster, "ready", None)
    cluster.delete(f"{collection(kinds.DEPLOYMENT)}/web")
    expect(cluster, "failed", "missing")


def test_a_live_deployment_without_pods_yet_waits(
    cluster: ClusterClient, kube: ClusterDouble
) -> None:
    kube.timing.pod_start_seconds = 3600
    apply(cluster, create_workload())
    expect(cluster, "waiting", "rolling_out")


def test_a_live_deployment_that_crashes_is_told(cluster: ClusterClient) -> None:
    apply(cluster, create_workload("registry.example/crash:1"))
    message = expect(cluster, "failing", "crash_loop")
    assert "Container web ended with exit code 1 (Error)." in message
    pod = cluster.get(collection(kinds.POD))["items"][0]["metadata"]["name"]
    assert f"/namespace/logs/{pod}?container=web&previous=true" in message


@pytest.mark.parametrize(("before", "reason"), [("web:1", None), ("crash:1", "crash_loop")])
def test_a_live_update_is_judged_by_its_new_pods_alone(
    cluster: ClusterClient, before: str, reason: str | None
) -> None:
    apply(cluster, create_workload(f"registry.example/{before}"))
    expect(cluster, "failing" if reason else "ready", reason)
    apply(cluster, create_workload("bad/web:2"))
    assert "image of container web cannot be pulled" in expect(cluster, "failing", "image_pull")
    apply(cluster, create_workload("registry.example/web:3"))
    expect(cluster, "ready", None)


def test_a_live_deployment_over_quota_is_told(cluster: ClusterClient) -> None:
    apply(cluster, create_workload(replicas=4))
    message = expect(cluster, "failing", "quota_exceeded")
    assert "requested pods=1, used pods=3, limited to pods=3" in message
    apply(cluster, create_workload(replicas=3))
    expect(cluster, "ready", None)


def test_a_live_update_without_room_in_the_quota_is_told(cluster: ClusterClient) -> None:
    apply(cluster, create_workload(replicas=3))
    expect(cluster, "ready", None)
    updated = create_workload("registry.example/web:2", replicas=3)
    apply(cluster, updated)
    assert '"maxSurge": 0' in expect(cluster, "failing", "quota_exceeded")
    bounds = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    updated["spec"]["strategy"] = bounds
    apply(cluster, updated)
    expect(cluster, "ready", None)


def test_a_live_deployment_that_pod_security_refuses_is_told(cluster: ClusterClient) -> None:
    manifest = create_workload()
    del manifest["spec"]["template"]["spec"]["securityContext"]
    apply(cluster, manifest)
    message = expect(cluster, "failing", "pod_security")
    assert 'runAsNonRoot != true (pod or container "web" must set' in message
    assert "?harden=true" in message


@pytest.mark.parametrize(
    ("manifest", "readiness", "reason"),
    [
        (create_work, "ready", None),
        (lambda: create_work("bad/work:1"), "failing", "image_pull"),
        (lambda: create_work("registry.example/crash:1", backoffLimit=0), "failed", "job_failed"),
        (lambda: create_work(suspend=True), "failing", "suspended"),
    ],
)
def test_a_live_job_is_told(
    cluster: ClusterClient, manifest: Callable[[], Object], readiness: str, reason: str | None
) -> None:
    apply(cluster, manifest())
    expect(cluster, readiness, reason, ONCE)


def test_a_live_job_over_quota_is_told(cluster: ClusterClient) -> None:
    apply(cluster, create_workload(replicas=3))
    expect(cluster, "ready", None)
    apply(cluster, create_work())
    assert "limited to pods=3" in expect(cluster, "failing", "quota_exceeded", ONCE)
