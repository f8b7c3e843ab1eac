"""The description's examples are answers of the app: they are collected anew, and compared.

Where an answer has changed on purpose, `WRITE_EXAMPLES=1 make test ARGS=tests/api/test_examples.py`
writes them down (then format the file).
"""

import json
import os
import pprint
import re
from collections import defaultdict
from http import HTTPStatus
from typing import Any

import boto3

from chalicelib.routes.description.answers import ANSWERS
from chalicelib.routes.description.examples import EXAMPLES
from chalicelib.routes.description.words import ERRORS
from chalicelib.routes.table import ROUTES
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.described import ApiAnswer
from tests.factories import AGENT_TOKEN
from tests.harness import ROOT, Api, configure_domain, match_route
from tests.manifests import create_deployment_manifest, create_service_manifest

FRIEND = "/api/friends/alice"
NAMESPACE = f"{FRIEND}/namespace"
WEB = create_deployment_manifest("web")
# What is another in every run: times, ids of requests and operations, ETags, pods' suffixes, and
# Services' addresses, which a cluster gives out in turn.
VARYING = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z|[0-9a-f]{11}-[0-9]{8}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}"
    r"-[0-9a-f]{12}|(?<=web-)[a-z0-9]{6,10}-[a-z0-9]{5}"
    r"|(?<=\"clusterIP\": \")[0-9.]+"
)


class Collector:
    """Sends requests and keeps each answer as the example of its route and status."""

    def __init__(self, api: Api) -> None:
        """Start without any."""
        self.api = api
        self.found: dict[str, Any] = defaultdict(lambda: {"answers": {}})

    def send(self, method: str, url: str, body: Any = None, **options: Any) -> ApiAnswer:
        """Send a request; the first answer of a status is the example."""
        answer = self.api.call(method, url, json_body=body, token=AGENT_TOKEN, **options)
        template, _ = match_route(url.partition("?")[0])
        view = next(r.view.__name__ for r in ROUTES if (r.method, r.path) == (method, template))
        if answer.status >= 400:
            self.found["errors"]["answers"].setdefault(str(answer.status), answer.json)
            return answer
        if body is not None:
            self.found[view].setdefault("request", body)
        if answer.headers["Content-Type"] == "application/json" and view != "openapi":
            self.found[view]["answers"].setdefault(str(answer.status), answer.json)
        return answer


def collect(api: Api, kube: ClusterDouble, invocations: list[Any]) -> dict[str, Any]:
    collector = Collector(api)
    send = collector.send
    send("GET", "/api/health")
    alice = {"id": "alice", "display_name": "Alice", "discord_id": "123456789012345678"}
    send("POST", "/api/friends", alice)
    send("GET", "/api/friends")
    send("PUT", FRIEND, {"display_name": "Al", "preferred_channel": "discord"})
    send("PUT", f"{FRIEND}/agents/mochi", {"status": "active"})
    send("GET", f"{FRIEND}/agents")
    send("POST", f"{NAMESPACE}/provision")
    send("POST", f"{NAMESPACE}/apply", WEB)
    accepted = send("POST", f"{NAMESPACE}/apply?wait=ready", WEB)
    api.deliver(invocations)
    send("GET", str(accepted.json["operation"]["url"]))
    send("GET", f"{FRIEND}/operations?limit=1")
    api.post(f"{NAMESPACE}/apply", create_service_manifest())
    send("POST", f"{NAMESPACE}/expose", {"name": "my-app", "service": "web"})
    send("GET", f"{NAMESPACE}/expose")
    send("GET", "/api/domains")
    send("GET", FRIEND)
    send("GET", f"{FRIEND}/secrets")
    pods = send("GET", f"{NAMESPACE}/pods").json
    send("GET", f"{NAMESPACE}/status")
    send("GET", f"{NAMESPACE}/logs/{pods[0]['name']}?tail=2")
    send("DELETE", f"{NAMESPACE}/expose/my-app")
    send("DELETE", f"{NAMESPACE}/deployments/web")
    api.post(f"{NAMESPACE}/apply", WEB)
    send("DELETE", f"{NAMESPACE}/deployments/web", headers={"Prefer": "respond-async"})
    api.deliver(invocations)
    send("DELETE", f"{FRIEND}/agents/mochi")
    refuse(collector, kube)
    send("DELETE", f"{FRIEND}?confirm=alice")
    return dict(collector.found)


def refuse(collector: Collector, kube: ClusterDouble) -> None:
    """Provoke the errors, and the answers that come when an upstream is away."""
    send = collector.send
    send("POST", "/api/friends", {"id": "A", "display_name": "A"})
    collector.found["errors"]["answers"]["401"] = collector.api.get(FRIEND, token=None).json
    collector.api.put(f"{FRIEND}/agents/mochi", {"status": "blocked"})
    send("GET", FRIEND)
    collector.api.put(f"{FRIEND}/agents/mochi", {"status": "active"})
    send("GET", f"{NAMESPACE}/logs/web")
    send("POST", "/api/friends", {"id": "alice", "display_name": "Alice"})
    send("PUT", FRIEND, {"display_name": "A"}, headers={"If-Match": '"old"'})
    send("PUT", FRIEND, headers={"Content-Type": "text/plain"}, raw_body=b"x")
    send("PUT", FRIEND, raw_body=b'"' + b"x" * 300_000 + b'"')
    send("POST", f"{NAMESPACE}/apply", {**WEB, "spec": {**WEB["spec"], "replicas": 200}})
    send("GET", f"{NAMESPACE}/pods", remaining_seconds=2.5)
    kube.fail_next(status=403, times=9)
    send("GET", f"{NAMESPACE}/pods")
    kube.clear()
    kube.fail_next(drop=True, times=99)
    send("GET", f"{NAMESPACE}/pods", remaining_seconds=5)
    send("POST", "/api/friends", {"id": "bob", "display_name": "Bob"}, remaining_seconds=5)
    kube.clear()
    workspace = boto3.resource("s3").Bucket("workspace")
    workspace.objects.all().delete()
    workspace.delete()
    send("PUT", FRIEND, {"display_name": "Alice"})
    workspace.create()


def test_the_examples_are_answers_of_the_app(
    backend: None, kube: ClusterDouble, cloudflare: CloudflareDouble, invocations: list[Any]
) -> None:
    found = collect(Api(configure_domain(cloudflare)), kube, invocations)
    if os.environ.get("WRITE_EXAMPLES"):
        write(found)
    assert masked(found) == masked(EXAMPLES)


def test_every_success_has_an_example_and_every_status_of_an_error() -> None:
    shown = {(view, status) for view, each in EXAMPLES.items() for status in each["answers"]}
    successes = {
        (view, str(reply.status))
        for view, answers in ANSWERS.items()
        for reply in answers.replies
        if view not in {"openapi", "docs"} and reply.status != HTTPStatus.NOT_MODIFIED
    }
    # 429 takes twenty operations that wait: the tests of operations see it.
    errors = {("errors", str(status)) for status in ERRORS if status != 429}
    assert shown == successes | errors


def masked(examples: dict[str, Any]) -> Any:
    return json.loads(VARYING.sub("*", json.dumps(examples)))


def write(examples: dict[str, Any]) -> None:
    path = ROOT / "chalicelib" / "routes" / "description" / "examples.py"
    head, _, _ = path.read_text().partition("EXAMPLES: Final")
    shown = pprint.pformat(json.loads(json.dumps(examples)), sort_dicts=False, width=96)
    path.write_text(f"{head}EXAMPLES: Final[dict[str, Any]] = {shown}\n")
