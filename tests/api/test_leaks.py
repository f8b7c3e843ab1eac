"""Threats F: canaries planted wherever a secret may be, looked for wherever text comes out."""

import base64
import logging
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import yaml

from chalicelib.logs import JsonFormatter
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient, create_pod
from tests.factories import ADMIN_TOKEN, AGENT_TOKEN, create_friend_body
from tests.harness import BUCKET, TABLE, Api
from tests.manifests import create_config_map_manifest


class Lines(logging.Handler):
    """Every log line, as it would be written at DEBUG."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.lines.append(self.format(record))


@pytest.fixture
def log() -> Iterator[Lines]:
    """What our own code logs, at its most talkative."""
    lines, own = Lines(), logging.getLogger("chalicelib")
    level = own.level
    own.addHandler(lines)
    own.setLevel(logging.DEBUG)
    yield lines
    own.removeHandler(lines)
    own.setLevel(level)


def plant(kube: ClusterDouble) -> list[str]:
    """Plant canaries in the friend's namespace and return all that must not be seen."""
    cluster = ClusterClient(kube.kubeconfig())
    canaries = [f"canary-{number:02}-{'x' * 12}" for number in range(20)]
    values = {f"key{number}": canary for number, canary in enumerate(canaries[:10])}
    metadata = {"namespace": "friend-alice", "annotations": {"note": canaries[10]}}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "planted", **metadata},
            "stringData": values,
        }
    )
    pod = create_pod("web")
    pod["metadata"]["annotations"] = {"note": canaries[11]}
    container = pod["spec"]["containers"][0]
    container["env"] = [{"name": f"E{each[-15:-13]}", "value": each} for each in canaries[12:16]]
    container["args"] = canaries[16:18]
    container["command"] = canaries[18:]
    cluster.create(pod)
    cluster.create(create_pod("broken", image="registry.example/web:does-not-exist"))
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "broken.1", "namespace": "friend-alice"},
            "involvedObject": {"kind": "Pod", "name": "broken", "namespace": "friend-alice"},
            "type": "Warning",
            "reason": "Unhealthy",
            "message": f'told: Get "http://10.42.0.9/{canaries[18]}": "sh -c {canaries[19]}"',
            "lastTimestamp": "2100-01-01T00:00:00Z",
        }
    )
    config = yaml.safe_load(kube.kubeconfig())
    return [
        *canaries,
        *(base64.b64encode(each.encode()).decode() for each in canaries),
        *(ADMIN_TOKEN, AGENT_TOKEN, config["users"][0]["user"]["token"]),
        config["clusters"][0]["cluster"]["certificate-authority-data"],
    ]


def use_everything(api: Api, kube: ClusterDouble) -> list[Any]:
    """Call every route, well and badly, while the cluster is fine and while it is not."""
    namespace = "/api/friends/alice/namespace"
    answers: list[Any] = []
    for fault in ({}, {"status": 500}, {"status": 403, "body": {"message": ADMIN_TOKEN}}):
        if fault:
            kube.fail_next(times=40, **fault)
        answers += [
            api.get("/api/friends"),
            api.get("/api/friends/alice"),
            api.get("/api/friends", token=None, headers={"Authorization": f"Basic {ADMIN_TOKEN}"}),
            api.put("/api/friends/alice", {"display_name": "Al"}, token=AGENT_TOKEN),
            api.post(
                "/api/friends",
                create_friend_body(id=f"bob{len(answers)}"),
                headers={"Idempotency-Key": f"k{len(answers)}"},
                remaining_seconds=5,
            ),
            api.get("/api/friends/alice/secrets", remaining_seconds=5),
            api.get(f"{namespace}/pods", remaining_seconds=5),
            api.get(f"{namespace}/status", remaining_seconds=5),
            api.get(f"{namespace}/logs/web?tail=3", remaining_seconds=5),
            api.get(f"{namespace}/logs/none", remaining_seconds=5),
            api.post(f"{namespace}/provision", remaining_seconds=5),
            api.delete(f"{namespace}/deployments/web", remaining_seconds=5),
        ]
        kube.clear()
    return answers


def test_f01_f02_f03_f05_no_canary_leaves_by_any_answer_log_line_row_file_or_event(
    api: Api, kube: ClusterDouble, log: Lines, invocations: list[Any]
) -> None:
    api.register_friend()
    canaries = plant(kube)
    answers = use_everything(api, kube)
    answers.append(
        api.post(
            "/api/friends/alice/namespace/apply",
            create_config_map_manifest(),
            headers={"Prefer": "respond-async"},
        )
    )
    table = boto3.client("dynamodb").scan(TableName=TABLE)["Items"]
    s3 = boto3.client("s3")
    files = [
        s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read().decode()
        for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    ]
    seen = "\n".join(
        [
            *(f"{answer.headers} {answer.text}" for answer in answers),
            *log.lines,
            *map(str, table),
            *map(str, invocations),
            *files,
        ]
    )
    assert [canary for canary in canaries if canary in seen] == []
    # The look is worth something only where there is something to look at.
    assert {answer.status for answer in answers} >= {200, 201, 202, 401, 404, 502}
    assert len(log.lines) >= len(answers)
    assert "planted" in seen
    assert "told: Get" in seen
    assert len(invocations) >= 1


def test_f03_an_upstreams_words_are_not_passed_on(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    for status in (400, 403, 404, 409, 422, 500, 503):
        kube.fail_next(status=status, times=5, body={"message": "canary", "reason": "canary"})
        answer = api.get("/api/friends/alice/namespace/logs/web", remaining_seconds=4)
        kube.clear()
        assert "canary" not in answer.text
        assert answer.status in {404, 409, 422, 502, 503}
