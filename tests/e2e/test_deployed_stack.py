"""The deployed stack over HTTP, as an agent meets it: through API Gateway, Lambda and all.

`make test-e2e` starts the stack and sets the variables that .local/env holds.
"""

import json
import os
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin

import boto3
import pytest
import requests

from tests.cluster_client import ClusterClient, wait_until

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
    assert (answer.status_code, answer.json()) == (200, {"ok": True})


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


def test_the_namespace_is_there_for_kubectl_too(friend: str) -> None:
    with open(os.environ["KUBECONFIG"], encoding="utf-8") as file:  # noqa: PTH123 - a path from the environment
        cluster = ClusterClient(file.read())
    namespace = cluster.get(f"/api/v1/namespaces/friend-{friend}")
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
