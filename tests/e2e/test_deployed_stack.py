"""The deployed stack over HTTP, as an agent meets it: through API Gateway, Lambda and all.

`make test-e2e` starts the stack and sets the variables that .local/env holds.
"""

import json
import os
import subprocess
import sys
import time
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import boto3
import jsonpatch
import pytest
import requests

from tests.cluster_client import ClusterClient, wait_until
from tests.manifests import (
    create_config_map_manifest,
    create_container,
    create_deployment_manifest,
    create_service_manifest,
)

TIMEOUT_SECONDS = 60


class Client:
    """One caller of the deployed API."""

    def __init__(self, token: str) -> None:
        """Remember who calls."""
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.url = os.environ["API_URL"]

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request."""
        return self.session.request(method, f"{self.url}{path}", timeout=TIMEOUT_SECONDS, **options)


@pytest.fixture(scope="session")
def admin() -> Client:
    """An admin."""
    return Client(os.environ["ADMIN_TOKEN"])


@pytest.fixture(scope="session")
def agent() -> Client:
    """An agent."""
    return Client(os.environ["AGENT_TOKEN"])


@pytest.fixture
def friend_id() -> str:
    """An id that no other test has."""
    return f"e2e-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def friend(agent: Client, friend_id: str) -> str:
    """A friend whom the agent registered."""
    body = {"id": friend_id, "display_name": "Zoë 😀"}
    answer = agent.call("POST", "/api/friends", json=body)
    assert answer.status_code == 201, answer.text
    return friend_id


def test_health_is_public() -> None:
    answer = requests.get(f"{os.environ['API_URL']}/api/health", timeout=TIMEOUT_SECONDS)
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")


def test_the_description_says_where_the_api_is_served() -> None:
    url = f"{os.environ['API_URL']}/api/openapi.json"
    document = requests.get(url, timeout=TIMEOUT_SECONDS).json()
    (server,) = document["servers"]
    assert urljoin(url, server["url"]).rstrip("/") == os.environ["API_URL"]
    page = requests.get(urljoin(url, "docs"), timeout=TIMEOUT_SECONDS)
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_registered_friend_has_a_row_a_namespace_and_a_profile(
    agent: Client, friend: str
) -> None:
    found = agent.call("GET", f"/api/friends/{friend}").json()
    assert (found["display_name"], found["phase"]) == ("Zoë 😀", "ready")
    assert found["friendships"][0]["agent_id"] == os.environ["AGENT_ID"]
    status = agent.call("GET", f"/api/friends/{friend}/namespace/status").json()
    assert status["quota"]["hard"]["pods"] == "3"
    stored = boto3.client("s3").get_object(
        Bucket=os.environ["WORKSPACE_BUCKET"], Key=f"friends/{friend}/profile.json"
    )
    assert json.loads(stored["Body"].read()) == found["profile"]


def create_cluster_client() -> ClusterClient:
    return ClusterClient(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))


def test_the_namespace_is_there_for_kubectl_too(friend: str) -> None:
    namespace = create_cluster_client().get(f"/api/v1/namespaces/friend-{friend}")
    assert namespace["metadata"]["labels"]["friends-api/friend"] == friend


def test_location_and_link_lead_on_behind_the_stage(admin: Client, friend: str) -> None:
    other = f"{friend}-b"
    created = admin.call("POST", "/api/friends", json={"id": other, "display_name": "B"})
    location = urljoin(created.url, created.headers["Location"])
    assert admin.session.get(location, timeout=TIMEOUT_SECONDS).json()["id"] == other
    page = admin.call("GET", "/api/friends?limit=1")
    following = urljoin(page.url, page.links["next"]["url"])
    second = admin.session.get(following, timeout=TIMEOUT_SECONDS)
    assert second.json()[0]["id"] > page.json()[0]["id"]


def test_provisioning_again_changes_nothing(agent: Client, friend: str) -> None:
    answer = agent.call("POST", f"/api/friends/{friend}/namespace/provision")
    assert {each["result"] for each in answer.json()["objects"]} == {"unchanged"}


def test_updating_rewrites_the_profile(agent: Client, friend: str) -> None:
    etag = agent.call("GET", f"/api/friends/{friend}").headers["ETag"]
    headers = {"If-Match": etag}
    url = f"/api/friends/{friend}"
    assert agent.call("PUT", url, json={"display_name": "Z"}, headers=headers).status_code == 200
    stale = agent.call("PUT", url, json={"display_name": "Y"}, headers=headers)
    assert stale.status_code == 412


def test_a_retry_with_the_same_key_gets_the_same_answer(admin: Client, friend_id: str) -> None:
    body = {"id": friend_id, "display_name": "A"}
    headers = {"Idempotency-Key": friend_id}
    first, again = (
        admin.call("POST", "/api/friends", json=body, headers=headers) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"


def test_h04_one_of_many_registrations_at_once_wins(friend_id: str) -> None:
    def register(number: int) -> int:
        body = {"id": friend_id, "display_name": f"A {number}"}
        client = Client(os.environ["ADMIN_TOKEN"])
        return client.call("POST", "/api/friends", json=body).status_code

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(register, range(3))) == [201, 409, 409]


def test_an_apply_is_refused_with_its_fixes_then_applied(agent: Client, friend: str) -> None:
    url = f"/api/friends/{friend}/namespace/apply"
    plain = create_deployment_manifest("web", pod={"securityContext": None})
    refused = agent.call("POST", url, json=plain)
    assert refused.status_code == 422
    for detail in refused.json()["details"]:
        plain = jsonpatch.apply_patch(plain, detail["fix"])
    applied = agent.call("POST", url, json=plain)
    assert applied.status_code == 200, applied.text
    assert applied.json()["results"][0]["change"] == "created"


def test_a_long_apply_runs_by_asynchronous_invocation(agent: Client, friend: str) -> None:
    url = f"/api/friends/{friend}/namespace/apply?wait=ready"
    manifests = [create_deployment_manifest("web"), create_config_map_manifest()]
    answer = agent.call("POST", url, json=manifests)
    assert (answer.status_code, answer.json()["operation"]["status"]) == (202, "pending")
    operation = follow(agent, urljoin(answer.url, answer.headers["Location"]))
    assert operation["status"] == "succeeded", operation
    assert [each["ready"] for each in operation["results"]] == [True, True]
    assert agent.call("GET", f"/api/friends/{friend}/operations").json() == [operation]


def test_a_rollout_that_fails_says_why(agent: Client, friend: str) -> None:
    container = create_container(image="registry.example/web:does-not-exist")
    broken = create_deployment_manifest("web", pod={"containers": [container]})
    url = f"/api/friends/{friend}/namespace/apply?wait=ready"
    answer = agent.call("POST", url, json=broken)
    operation = follow(agent, urljoin(answer.url, answer.headers["Location"]))
    assert (operation["status"], operation["code"]) == ("failed", "image_pull")


@pytest.mark.case("H1")
def test_twenty_waiting_rollouts_hold_no_function_and_block_no_friend(
    agent: Client, friend: str
) -> None:
    waiting = {"wait": "ready"}
    url = f"/api/friends/{friend}/namespace/apply"
    container = create_container(image="registry.example/unready:1")
    manifest = create_deployment_manifest("web", pod={"containers": [container]})
    answers = [agent.call("POST", url, json=manifest, params=waiting) for _ in range(20)]
    assert [each.status_code for each in answers] == [202] * 20
    assert agent.call("POST", url, json=manifest, params=waiting).status_code == 429
    operations = [each.json()["operation"] for each in answers]
    wait_until(lambda: applied_by(agent, operations[-1]), seconds=60)

    # A function that waited for its rollout would take minutes.
    started = time.monotonic()
    reports = [invoke({"friend_id": friend, "operation_id": each["id"]}) for each in operations]
    assert time.monotonic() - started < 60
    assert {each["operation"]["status"] for each in reports} == {"running"}
    other = f"{friend}-b"
    body = {"id": other, "display_name": "B"}
    assert agent.call("POST", "/api/friends", json=body).status_code == 201
    url = f"/api/friends/{other}/namespace/apply"
    assert agent.call("POST", url, json=create_config_map_manifest()).status_code == 200
    later = agent.call(
        "POST", url, json=create_config_map_manifest("b"), headers={"Prefer": "respond-async"}
    )
    operation = follow(agent, urljoin(later.url, later.headers["Location"]))
    assert operation["status"] == "succeeded", operation


def applied_by(client: Client, operation: Any) -> bool:
    """Tell whether an operation has sent all of its objects, whether or not these run."""
    found = client.call("GET", operation["url"]).json()
    return bool(found["progress"]["done"] == found["progress"]["total"])


def test_k01_an_event_that_is_delivered_again_changes_nothing(agent: Client, friend: str) -> None:
    url = f"/api/friends/{friend}/namespace/apply"
    headers = {"Prefer": "respond-async"}
    answer = agent.call("POST", url, json=create_config_map_manifest(), headers=headers)
    event = {"friend_id": friend, "operation_id": answer.json()["operation"]["id"]}
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(invoke, [event] * 3))
    # One that meets the lease of another ends at once, and tells how it stands then.
    assert {report["ok"] for report in reports} == {True}
    operation = follow(agent, urljoin(answer.url, answer.headers["Location"]))
    assert operation["status"] == "succeeded"
    assert invoke(event)["operation"] == operation


def test_k05_a_hand_made_event_is_refused(friend: str) -> None:
    report = invoke({"friend_id": friend, "manifests": []})
    assert (report["ok"], report["code"]) == (False, "invalid_event")


def test_k03_what_cannot_be_done_ends_as_failed_and_in_the_dead_letters(
    agent: Client, friend: str
) -> None:
    url = f"/api/friends/{friend}/namespace/apply"
    headers = {"Prefer": "respond-async"}
    hold_line(friend, seconds=15)
    answer = agent.call("POST", url, json=create_config_map_manifest(), headers=headers)
    identifier = answer.json()["operation"]["id"]
    behind = agent.call("POST", url, json=create_config_map_manifest("fine"), headers=headers)
    poison(friend, identifier)
    time.sleep(16)
    # Two of them, as a reader or a reconcile run may send a second one.
    for _ in range(2):
        send({"friend_id": friend, "operation_id": identifier})
    # What is behind it does not wait for the dead letter.
    fine = follow(agent, urljoin(behind.url, behind.headers["Location"]))
    assert fine["status"] == "succeeded"
    queue: Any = boto3.resource("sqs").Queue(os.environ["DEAD_LETTERS_URL"])
    letters: list[str] = []

    def has_arrived() -> bool:
        letters.extend(each.body for each in queue.receive_messages(WaitTimeSeconds=5))
        return any(identifier in letter for letter in letters)

    # Lambda repeats the event twice.
    wait_until(has_arrived, seconds=200)
    operation = agent.call("GET", f"/api/friends/{friend}/operations/{identifier}").json()
    assert (operation["status"], operation["code"]) == ("failed", "internal_error")


def hold_line(friend: str, seconds: int) -> None:
    """Take the friend's lease for another runner, so that nothing is run for a while."""
    boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"]).update_item(
        Key={"pk": f"FRIEND#{friend}", "sk": "PROFILE"},
        UpdateExpression="SET lease_owner = :owner, lease_until = :until",
        ExpressionAttributeValues={":owner": "a test", ":until": int(time.time()) + seconds},
    )


def poison(friend: str, identifier: str) -> None:
    """Have an operation's row hold manifests that no request could have recorded."""
    boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"]).update_item(
        Key={"pk": f"MANIFESTS#{friend}", "sk": identifier},
        UpdateExpression="SET manifests = :poison",
        ExpressionAttributeValues={":poison": zlib.compress(b"[1]")},
    )


def test_a_service_is_put_on_the_web_and_taken_off_again(agent: Client, friend: str) -> None:
    namespace = f"/api/friends/{friend}/namespace"
    manifests = [create_deployment_manifest(), create_service_manifest()]
    assert agent.call("POST", f"{namespace}/apply", json=manifests).status_code == 200
    domain = agent.call("GET", "/api/domains").json()[0]["name"]
    answer = agent.call("POST", f"{namespace}/expose", json={"name": "app", "service": "web"})
    assert answer.status_code == 200, answer.text
    hostname = f"app-{friend}.{domain}"
    assert answer.json()["url"] == f"https://{hostname}"
    (record,) = dns_records(hostname)
    assert record["type"] == "CNAME"

    def works() -> bool:
        (listed,) = agent.call("GET", f"{namespace}/expose?check=true").json()
        return all(check["ok"] for check in listed["checks"])

    # It looks every 30 s.
    wait_until(works, seconds=75)
    assert agent.call("DELETE", f"{namespace}/expose/app").json() == {"ok": True}
    assert dns_records(hostname) == []


def dns_records(hostname: str) -> Any:
    """Return the zone's records of a host name, as Cloudflare tells them."""
    answer = requests.get(
        f"{os.environ['CLOUDFLARE_URL']}/zones/{os.environ['ZONE_ID']}/dns_records",
        params={"name.exact": hostname},
        headers={"Authorization": f"Bearer {os.environ['CLOUDFLARE_TOKEN']}"},
        timeout=TIMEOUT_SECONDS,
    )
    return answer.json()["result"]


def follow(client: Client, url: str) -> Any:
    """Read an operation until it is over."""

    def is_over() -> bool:
        return read()["status"] in {"succeeded", "failed"}

    def read() -> Any:
        return client.session.get(url, timeout=TIMEOUT_SECONDS).json()

    wait_until(is_over, seconds=60)
    return read()


def test_a_deleted_friend_is_gone_from_everywhere(agent: Client, friend: str) -> None:
    url = f"/api/friends/{friend}"
    assert agent.call("DELETE", url).status_code == 400
    accepted = agent.call("DELETE", f"{url}?confirm={friend}")
    assert accepted.status_code == 202, accepted.text
    operation = accepted.json()["operation"]["url"]
    wait_until(lambda: agent.call("GET", operation).json()["status"] == "succeeded", seconds=60)
    assert agent.call("GET", url).status_code == 404
    assert create_cluster_client().find(f"/api/v1/namespaces/friend-{friend}") is None
    again = agent.call("POST", "/api/friends", json={"id": friend, "display_name": "Z"})
    assert again.status_code == 201, again.text
    assert agent.call("GET", f"{url}/operations").json() == []


def test_a_whole_pass_from_the_console_has_nothing_to_complain_of(friend: str) -> None:
    report = invoke({"dry_run": True}, "RECONCILE_FUNCTION")
    assert (report["ok"], report["failed"]) == (True, []), report
    assert report["checked"] > 0


def test_an_operator_reconciles_one_friend_from_the_console(friend: str) -> None:
    cluster = create_cluster_client()
    quota = f"/api/v1/namespaces/friend-{friend}/resourcequotas/friend-quota"
    cluster.merge(quota, {"spec": {"hard": {"pods": "99"}}})
    planned = invoke({"friend_id": friend, "dry_run": True}, "RECONCILE_FUNCTION")
    assert [each["what"] for each in planned["repaired"]] == [
        "ResourceQuota friend-quota configured"
    ]
    assert cluster.get(quota)["spec"]["hard"]["pods"] == "99"
    assert invoke({"friend_id": friend}, "RECONCILE_FUNCTION")["changed"] == 1
    assert cluster.get(quota)["spec"]["hard"]["pods"] == "3"
    assert invoke({"friend_id": friend}, "RECONCILE_FUNCTION")["changed"] == 0
    refused = invoke({"friend_id": friend, "dryrun": True}, "RECONCILE_FUNCTION")
    assert (refused["ok"], refused["details"][0]["path"]) == (False, "/dryrun")


def test_the_schedule_repairs_what_nobody_asked_about(friend: str) -> None:
    cluster = create_cluster_client()
    path = f"/api/v1/namespaces/friend-{friend}/limitranges/friend-limits"
    cluster.delete(path)
    # The local stack's schedule comes once a minute.
    wait_until(lambda: cluster.find(path) is not None, seconds=150)


def invoke(event: Any, function: str = "RUN_OPERATION_FUNCTION") -> Any:
    """Invoke a function as an operator does from the console."""
    answer = boto3.client("lambda").invoke(
        FunctionName=os.environ[function], Payload=json.dumps(event)
    )
    return json.loads(answer["Payload"].read())


def send(event: Any) -> None:
    """Hand run_operation an event, to be delivered and repeated as Lambda does."""
    boto3.client("lambda").invoke(
        FunctionName=os.environ["RUN_OPERATION_FUNCTION"],
        InvocationType="Event",
        Payload=json.dumps(event),
    )


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": b"{"}, 400),
        ({"data": b'{"id": "a", "id": "b"}'}, 400),
        ({"data": b'{"display_name": "\xff"}'}, 400),
        ({"data": b"[" * 100_000}, 400),
        ({"data": b'"' + b"x" * 300_000 + b'"'}, 413),
        ({"data": b"id: a", "headers": {"Content-Type": "application/yaml"}}, 415),
        ({"data": b"x", "headers": {"Content-Encoding": "gzip"}}, 415),
        ({"headers": {"Authorization": "Bearer nobody-knows-this-token"}}, 401),
        ({"headers": {"Authorization": "Basic eA=="}}, 401),
    ],
)
def test_a_hostile_request_is_refused_behind_the_gateway_too(
    admin: Client, options: dict[str, Any], status: int
) -> None:
    headers = {"Content-Type": "application/json", **options.pop("headers", {})}
    answer = admin.call("POST", "/api/friends", headers=headers, **options)
    assert answer.status_code == status
    assert answer.json().keys() == {"error", "code", "details", "request_id"}


@pytest.mark.parametrize("friend_id", ["..%2e", "%2e%2e", "a%00", "A", "%D0%B0lice", "a%0a"])
def test_e01_a_hostile_id_is_400_as_the_gateway_decodes_it(admin: Client, friend_id: str) -> None:
    url = f"{admin.url}/api/friends/{friend_id}/namespace/pods"
    prepared = requests.Request("GET", url, headers=dict(admin.session.headers)).prepare()
    prepared.url = url  # as it is: requests would tidy the dots away
    answer = admin.session.send(prepared, timeout=TIMEOUT_SECONDS)
    assert answer.status_code in {400, 403, 404}, answer.text
    assert "Traceback" not in answer.text


def test_an_operator_mints_and_revokes_a_token(admin: Client) -> None:
    minted = run_tokens("mint", "--role", "agent", "--agent-id", "e2e")
    token = minted.split()[-1]
    # The API looks again for an unknown token after a few seconds.
    wait_until(lambda: Client(token).call("GET", "/api/friends").ok, seconds=15)
    listed = run_tokens("list")
    assert "e2e" in listed
    assert token not in listed
    assert admin.call("GET", "/api/friends").status_code == 200


def run_tokens(*arguments: str) -> str:
    return subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "infra.tokens", *arguments],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
