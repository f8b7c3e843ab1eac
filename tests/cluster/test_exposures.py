"""Exposures on a real API server, which holds IngressRoute to its definition."""

import json
from typing import Any

import boto3
import pytest

from infra.local.cloudflare import CloudflareDouble
from tests.cluster_client import ClusterClient, wait_until
from tests.harness import Api
from tests.manifests import create_deployment_manifest, create_service_manifest

ZONE_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def api(api: Api, admin: ClusterClient, cloudflare: CloudflareDouble, friend_id: str) -> Api:
    """The app with a domain, and a friend with a service that runs."""
    boto3.client("secretsmanager").create_secret(
        Name="friends/cloudflare", SecretString=cloudflare.token
    )
    domain = {"name": "friends.example", "zone_id": ZONE_ID, "target": "t.cfargotunnel.com"}
    api = Api({"DOMAINS": json.dumps([domain]), "CLOUDFLARE_URL": cloudflare.url})
    api.register_friend(friend_id)
    manifests = [create_service_manifest(), create_deployment_manifest()]
    assert api.post(f"/api/friends/{friend_id}/namespace/apply", manifests).status == 200
    return api


def test_an_exposure_is_a_route_that_its_definition_permits(
    api: Api, admin: ClusterClient, cloudflare: CloudflareDouble, friend_id: str
) -> None:
    url = f"/api/friends/{friend_id}/namespace/expose"
    answer = api.post(url, {"name": "app", "service": "web"})
    assert answer.status == 200, answer.text
    hostname = f"app-{friend_id}.friends.example"
    path = f"/apis/traefik.io/v1alpha1/namespaces/friend-{friend_id}/ingressroutes/expose-app"
    route = admin.get(path)
    assert route["spec"]["routes"][0]["match"] == f"Host(`{hostname}`)"
    wait_until(lambda: works(api, url), seconds=90)
    version = route["metadata"]["resourceVersion"]
    assert api.post(url, {"name": "app", "service": "web"}).status == 200
    assert admin.get(path)["metadata"]["resourceVersion"] == version
    assert api.delete(f"{url}/app").json == {"ok": True}
    assert admin.find(path) is None
    assert cloudflare.records(ZONE_ID) == []


@pytest.mark.case("L6")
def test_a_domain_that_the_cluster_was_not_told_of_asks_for_an_admin(
    api: Api, cloudflare: CloudflareDouble, friend_id: str
) -> None:
    domain = {"name": "untold.friends.example", "zone_id": ZONE_ID, "target": "t.cfargotunnel.com"}
    api = Api({"DOMAINS": json.dumps([domain]), "CLOUDFLARE_URL": cloudflare.url})
    url = f"/api/friends/{friend_id}/namespace/expose"
    answer = api.post(url, {"name": "app", "service": "web"})
    assert (answer.status, answer.json["code"]) == (422, "cluster_policy"), answer.text
    assert "make route-domains" in answer.json["error"]


def works(api: Api, url: str) -> bool:
    (listed,) = api.get(f"{url}?check=true").json
    checks: list[Any] = listed["checks"]
    return all(each["ok"] for each in checks)


def test_a_deleted_service_shows_in_status(api: Api, admin: ClusterClient, friend_id: str) -> None:
    namespace = f"/api/friends/{friend_id}/namespace"
    api.post(f"{namespace}/expose", {"name": "app", "service": "web"})
    admin.delete(f"/api/v1/namespaces/friend-{friend_id}/services/web")
    (route,) = api.get(f"{namespace}/status").json["ingressRoutes"]
    assert "web" in route["problem"]
