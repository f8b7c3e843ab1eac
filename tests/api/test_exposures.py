"""Threats G and L: a public name that is the friend's, works, and goes away."""

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest

from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.domain.timestamps import timestamp
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.dynamodb import DynamoFriendStore
from chalicelib.gateways.exposures import DynamoExposureStore
from chalicelib.gateways.table import Table
from infra.local import kube_objects
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient, wait_until
from tests.factories import AGENT_TOKEN
from tests.harness import TABLE, Api, Clock
from tests.manifests import create_deployment_manifest, create_service_manifest

ZONE_ID = "0123456789abcdef0123456789abcdef"
DOMAIN = "friends.example"
TARGET = "tunnel.cfargotunnel.com"
NAMESPACE = "/api/friends/alice/namespace"
EXPOSE = f"{NAMESPACE}/expose"
APP = {"name": "my-app", "service": "web"}
HOST = f"my-app-alice.{DOMAIN}"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/friend-alice/networkpolicies"
ROUTES = "/apis/traefik.io/v1alpha1/namespaces/friend-alice/ingressroutes"


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
def api(backend: None, cloudflare: CloudflareDouble, clock: Clock) -> Api:
    """The app with a domain, and alice with a service in it."""
    boto3.client("secretsmanager").create_secret(
        Name="friends/cloudflare", SecretString=cloudflare.token
    )
    domains = [
        {"name": DOMAIN, "zone_id": ZONE_ID, "target": TARGET},
        {"name": "second.example", "zone_id": "f" * 32, "target": "203.0.113.9", "proxied": False},
    ]
    environment = {"DOMAINS": json.dumps(domains), "CLOUDFLARE_URL": cloudflare.url}
    api = Api(environment, now=clock.now)
    api.register_friend()
    deploy(api)
    return api


@pytest.fixture
def cluster(kube: ClusterDouble) -> ClusterClient:
    """The cluster, as its admin sees it."""
    return ClusterClient(kube.kubeconfig())


def deploy(api: Api, friend_id: str = "alice") -> None:
    url = f"/api/friends/{friend_id}/namespace"
    answer = api.post(f"{url}/apply", [create_service_manifest(), create_deployment_manifest()])
    assert answer.status == 200, answer.text
    wait_until(lambda: all(pod["ready"] for pod in api.get(f"{url}/pods").json or [{"ready": 0}]))


def records(cloudflare: CloudflareDouble) -> list[tuple[str, str, str]]:
    return [(each["type"], each["name"], each["content"]) for each in cloudflare.records(ZONE_ID)]


def look(api: Api, clock: Clock) -> Any:
    """Return the exposures after the time in which they may not be checked again."""
    clock.pass_seconds(31)
    return api.get(f"{EXPOSE}?check=true").json


def failing(answer: Any) -> list[str]:
    return [each["check"] for each in answer["checks"] if not each["ok"]]


def test_one_call_puts_a_service_on_the_web(
    api: Api, cloudflare: CloudflareDouble, cluster: ClusterClient
) -> None:
    answer = api.post(EXPOSE, APP)
    assert answer.status == 200, answer.text
    assert answer.json["ok"] is True
    assert (answer.json["hostname"], answer.json["url"]) == (HOST, f"https://{HOST}")
    assert [each["check"] for each in answer.json["checks"]] == [
        *("record", "route", "service", "endpoints", "policy"),
    ]
    assert failing(answer.json) == []
    assert records(cloudflare) == [("CNAME", HOST, TARGET)]
    spec = cluster.get(f"{ROUTES}/expose-my-app")["spec"]
    assert spec["routes"][0]["match"] == f"Host(`{HOST}`)"
    assert spec["routes"][0]["services"][0] | {"kind": "Service"} == {
        "kind": "Service",
        "name": "web",
        "port": 80,
    }


def test_repeating_it_changes_nothing(
    api: Api, cloudflare: CloudflareDouble, cluster: ClusterClient
) -> None:
    first = api.post(EXPOSE, APP)
    before = cloudflare.records(ZONE_ID), version_of(cluster)
    again = api.post(EXPOSE, APP)
    assert again.json == first.json
    assert (cloudflare.records(ZONE_ID), version_of(cluster)) == before


def version_of(cluster: ClusterClient) -> str:
    return str(cluster.get(f"{ROUTES}/expose-my-app")["metadata"]["resourceVersion"])


def test_removal_leaves_nothing_behind(
    api: Api, cloudflare: CloudflareDouble, cluster: ClusterClient
) -> None:
    api.post(EXPOSE, APP)
    assert api.delete(f"{EXPOSE}/my-app").json == {"ok": True}
    assert records(cloudflare) == []
    assert cluster.find(f"{ROUTES}/expose-my-app") is None
    assert api.get(EXPOSE).json == []
    assert api.get("/api/friends/alice").json["exposures"] == []
    assert api.delete(f"{EXPOSE}/my-app").status == 404


def test_the_list_says_what_works_and_the_friend_names_it(api: Api) -> None:
    api.post(EXPOSE, APP)
    (listed,) = api.get(EXPOSE).json
    assert (listed["name"], listed["hostname"], listed["service"]) == ("my-app", HOST, "web")
    assert failing(listed) == []
    (named,) = api.get("/api/friends/alice").json["exposures"]
    assert named["hostname"] == HOST


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        ("record", "record"),
        ("route", "route"),
        ("service", "service"),
        ("deployment", "endpoints"),
        ("policy", "policy"),
    ],
)
def test_the_list_tells_what_does_not_work(
    api: Api, cloudflare: CloudflareDouble, cluster: ClusterClient, spoil: str, check: str
) -> None:
    api.post(EXPOSE, APP)
    paths = {
        "route": f"{ROUTES}/expose-my-app",
        "service": "/api/v1/namespaces/friend-alice/services/web",
        "deployment": "/apis/apps/v1/namespaces/friend-alice/deployments/web",
        "policy": f"{POLICIES}/friend-netpol",
    }
    if spoil in paths:
        cluster.delete(paths[spoil])
    else:
        cloudflare.reset()
    (listed,) = api.get(f"{EXPOSE}?check=true").json
    assert check in failing(listed)
    assert all(each["message"] for each in listed["checks"] if not each["ok"])


def test_g10_a_deleted_service_that_is_exposed_is_visible_in_status(
    api: Api, cluster: ClusterClient
) -> None:
    api.post(EXPOSE, APP)
    (route,) = api.get(f"{NAMESPACE}/status").json["ingressRoutes"]
    assert (route["hostname"], route["service"], route["problem"]) == (HOST, "web", None)
    cluster.delete("/api/v1/namespaces/friend-alice/services/web")
    (route,) = api.get(f"{NAMESPACE}/status").json["ingressRoutes"]
    assert "web" in route["problem"]


def test_a_changed_service_is_an_update_and_no_new_record(
    api: Api, cloudflare: CloudflareDouble, cluster: ClusterClient
) -> None:
    api.post(EXPOSE, APP)
    (before,) = cloudflare.records(ZONE_ID)
    api.post(f"{NAMESPACE}/apply", create_service_manifest("other"))
    cloudflare.requests.clear()
    answer = api.post(EXPOSE, APP | {"service": "other"})
    assert answer.status == 200
    assert [each.method for each in cloudflare.requests] == ["GET"]
    assert cloudflare.records(ZONE_ID) == [before]
    route = cluster.get(f"{ROUTES}/expose-my-app")["spec"]["routes"][0]
    assert route["services"][0]["name"] == "other"


def test_another_domain_is_another_exposure(api: Api) -> None:
    api.post(EXPOSE, APP)
    answer = api.post(EXPOSE, APP | {"domain": "second.example"})
    assert (answer.status, answer.json["code"]) == (409, "exposure_elsewhere")


def test_an_address_makes_an_address_record(api: Api, cloudflare: CloudflareDouble) -> None:
    answer = api.post(EXPOSE, APP | {"domain": "second.example"})
    assert answer.status == 200, answer.text
    (record,) = cloudflare.records("f" * 32)
    assert (record["type"], record["content"], record["proxied"]) == ("A", "203.0.113.9", False)


def test_domains_are_listed(api: Api) -> None:
    assert api.get("/api/domains").json == [{"name": DOMAIN}, {"name": "second.example"}]


def test_without_a_domain_nothing_can_be_exposed(backend: None) -> None:
    api = Api()
    api.register_friend()
    answer = api.post(EXPOSE, APP)
    assert (answer.status, answer.json["code"]) == (400, "no_domain_configured")
    assert api.get("/api/domains").json == []


def test_a_dry_run_answers_alike_and_changes_nothing(
    api: Api, cloudflare: CloudflareDouble, cluster: ClusterClient
) -> None:
    answer = api.post(f"{EXPOSE}?dry_run=true", APP)
    assert (answer.status, answer.json["hostname"], answer.json["dry_run"]) == (200, HOST, True)
    assert failing(answer.json) == []
    assert records(cloudflare) == []
    assert cluster.find(f"{ROUTES}/expose-my-app") is None
    assert api.get(EXPOSE).json == []
    api.post(EXPOSE, APP)
    assert api.delete(f"{EXPOSE}/my-app?dry_run=true").json == {"ok": True, "dry_run": True}
    assert records(cloudflare) == [("CNAME", HOST, TARGET)]


def test_g01_two_friends_whose_names_spell_one_host(api: Api, cloudflare: CloudflareDouble) -> None:
    for friend_id in ("c", "b-c"):
        api.register_friend(friend_id)
        deploy(api, friend_id)
    first = api.post("/api/friends/c/namespace/expose", {"name": "a-b", "service": "web"})
    second = api.post("/api/friends/b-c/namespace/expose", {"name": "a", "service": "web"})
    assert (first.status, second.status) == (200, 409)
    assert second.json["code"] == "hostname_taken"
    assert len(records(cloudflare)) == 1
    assert api.get("/api/friends/b-c/namespace/expose").json == []


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a_b", "*", "@", "xn--p1ai", "a" * 21, "ab--c", "A", "a.b", "a`b", 7]
)
def test_g02_a_bad_name_is_400(api: Api, cloudflare: CloudflareDouble, name: Any) -> None:
    cloudflare.requests.clear()
    answer = api.post(EXPOSE, APP | {"name": name})
    assert (answer.status, answer.json["details"][0]["path"]) == (400, "/name")
    assert cloudflare.requests == []


@pytest.mark.parametrize(
    "domain",
    [
        *("", "*.friends.example", "a.friends.example", "friends.example.", "FRIENDS.example"),
        *("friends.example.evil.net", "notfriends.example", None, 1),
    ],
)
def test_g03_a_domain_that_is_not_configured_is_400(api: Api, domain: Any) -> None:
    answer = api.post(EXPOSE, APP | {"domain": domain})
    assert (answer.status, answer.json["details"][0]["path"]) == (400, "/domain")


@pytest.mark.parametrize("port", [0, -1, 65536, "80", 80.0, True, None])
def test_g04_a_bad_port_is_400(api: Api, port: Any) -> None:
    answer = api.post(EXPOSE, APP | {"port": port})
    assert (answer.status, answer.json["details"][0]["path"]) == (400, "/port")


def test_g04_a_port_that_the_service_lacks_is_404(api: Api, cloudflare: CloudflareDouble) -> None:
    answer = api.post(EXPOSE, APP | {"port": 81})
    assert (answer.status, answer.json["code"]) == (404, "port_not_found")
    assert records(cloudflare) == []


@pytest.mark.parametrize("service", ["svc@kubernetescrd", "api@internal", "other/web", "a.b", ""])
def test_g05_a_service_elsewhere_is_400(api: Api, service: str) -> None:
    assert api.post(EXPOSE, APP | {"service": service}).status == 400


def test_g05_a_service_that_is_not_there_is_404(api: Api, cloudflare: CloudflareDouble) -> None:
    answer = api.post(EXPOSE, APP | {"service": "nope"})
    assert (answer.status, answer.json["code"]) == (404, "service_not_found")
    assert cloudflare.requests == []


@pytest.mark.parametrize("name", ["a`", "a) || Host(`b", "a\n", "a && b", "HostRegexp(`.*`)"])
def test_g06_a_rule_in_a_name_is_400(api: Api, cluster: ClusterClient, name: str) -> None:
    assert api.post(EXPOSE, APP | {"name": name}).status == 400
    assert cluster.get(ROUTES)["items"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "A", "content": "198.51.100.7"},
        {"type": "AAAA", "content": "2001:db8::7"},
        {"type": "CNAME", "content": "elsewhere.example.net"},
        {"type": "TXT", "content": "hello"},
        {"type": "CNAME", "content": TARGET, "comment": "friends-api/another-friend/my-app"},
    ],
)
def test_g07_a_record_that_is_not_ours_is_never_touched(
    api: Api, cloudflare: CloudflareDouble, fields: dict[str, str]
) -> None:
    cloudflare.seed(ZONE_ID, name=HOST, **fields)
    before = cloudflare.records(ZONE_ID)
    answer = api.post(EXPOSE, APP)
    assert (answer.status, answer.json["code"]) == (409, "record_not_ours")
    assert cloudflare.records(ZONE_ID) == before
    assert api.get(EXPOSE).json == []


def test_g07_a_record_that_changed_hands_is_left_alone(
    api: Api, cloudflare: CloudflareDouble
) -> None:
    api.post(EXPOSE, APP)
    cloudflare.reset()
    cloudflare.seed(ZONE_ID, name=HOST, type="A", content="198.51.100.7")
    assert api.post(EXPOSE, APP).json["code"] == "record_not_ours"
    assert api.delete(f"{EXPOSE}/my-app").status == 200
    assert records(cloudflare) == [("A", HOST, "198.51.100.7")]


@pytest.mark.parametrize("comment", ["", "friends-api/another-friend/my-app", "edited by hand"])
def test_g07_a_list_names_the_record_that_is_in_the_way(
    api: Api, clock: Clock, cloudflare: CloudflareDouble, comment: str
) -> None:
    api.post(EXPOSE, APP)
    api.post(EXPOSE, {"name": "other", "service": "web"})
    other = next(each for each in cloudflare.records(ZONE_ID) if each["name"] != HOST)
    cloudflare.reset()
    fields = {name: other[name] for name in ("type", "name", "content", "proxied", "comment")}
    cloudflare.seed(ZONE_ID, **fields)
    cloudflare.seed(ZONE_ID, name=HOST, type="A", content="198.51.100.7", comment=comment)
    shown = {each["name"]: each for each in look(api, clock)}
    assert failing(shown["my-app"]) == ["record"]
    (check,) = (each for each in shown["my-app"]["checks"] if not each["ok"])
    assert "a DNS record that is not the API's" in check["message"]
    assert "ask an admin to remove it" in check["message"]
    assert failing(shown["other"]) == []


def test_g07_a_list_looks_closer_only_where_a_record_is_not_as_it_should_be(
    api: Api, clock: Clock, cloudflare: CloudflareDouble
) -> None:
    api.post(EXPOSE, APP)
    cloudflare.requests.clear()
    look(api, clock)
    assert len(cloudflare.requests) == 1
    cloudflare.reset()
    (check,) = (each for each in look(api, clock)[0]["checks"] if not each["ok"])
    assert check["message"] == "There is no DNS record; send the expose request again."


# W2: a zone id that belongs to another zone


def api_with_zones(cloudflare: CloudflareDouble, clock: Clock, *zones: tuple[str, str]) -> Api:
    """Return the app as it is deployed with these domains and zone ids."""
    domains = [{"name": name, "zone_id": zone, "target": TARGET} for name, zone in zones]
    environment = {"DOMAINS": json.dumps(domains), "CLOUDFLARE_URL": cloudflare.url}
    return Api(environment, now=clock.now)


@pytest.mark.case("W2")
@pytest.mark.parametrize(
    ("domain", "zone_id"),
    [
        (DOMAIN, "f" * 32),
        ("friends.example.net", ZONE_ID),
        ("notfriends.example", ZONE_ID),
        ("apps.second.example", ZONE_ID),
        ("other.net", "f" * 32),
    ],
)
def test_a_domain_with_another_zones_id_is_never_exposed_on(
    api: Api, cloudflare: CloudflareDouble, clock: Clock, domain: str, zone_id: str
) -> None:
    wrong = api_with_zones(cloudflare, clock, (domain, zone_id))
    for _ in range(2):
        answer = wrong.post(EXPOSE, APP)
        assert (answer.status, answer.json["code"]) == (502, "dns_misconfigured")
        assert domain in answer.json["error"]
        assert cloudflare.zones[zone_id] in answer.json["error"]
        assert cloudflare.records(zone_id) == []
        assert wrong.get(EXPOSE).json == []
    right = api_with_zones(cloudflare, clock, (DOMAIN, ZONE_ID))
    assert right.post(EXPOSE, APP).status == 200


@pytest.mark.case("W2")
@pytest.mark.parametrize("fault", [{"match": "POST"}, {"match": "POST", "after": True}])
def test_a_lost_answer_in_the_wrong_zone_leaves_nothing(
    api: Api,
    cloudflare: CloudflareDouble,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    fault: Any,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    wrong = api_with_zones(cloudflare, clock, (DOMAIN, "f" * 32))
    cloudflare.fail_next(drop=True, **fault)
    assert wrong.post(EXPOSE, APP).json["code"] == "dns_misconfigured"
    assert cloudflare.records("f" * 32) == []
    assert wrong.get(EXPOSE).json == []


@pytest.mark.case("W2")
def test_a_record_that_could_not_be_removed_again_is_removed_by_a_repeat(
    api: Api, cloudflare: CloudflareDouble, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    wrong = api_with_zones(cloudflare, clock, (DOMAIN, "f" * 32))
    cloudflare.fail_next(status=503, times=5, match="POST .*/batch")
    assert wrong.post(EXPOSE, APP).status == 503
    assert wrong.post(EXPOSE, APP).json["code"] == "dns_misconfigured"
    assert cloudflare.records("f" * 32) == []


@pytest.mark.case("W2")
def test_what_the_version_before_made_in_the_wrong_zone_is_removed(
    api: Api, cloudflare: CloudflareDouble, clock: Clock
) -> None:
    api.post(EXPOSE, APP)
    (record,) = cloudflare.records(ZONE_ID)
    fields = {name: record[name] for name in ("type", "name", "content", "proxied", "comment")}
    cloudflare.reset()
    cloudflare.seed("f" * 32, **fields)
    wrong = api_with_zones(cloudflare, clock, (DOMAIN, "f" * 32))
    assert wrong.delete(f"{EXPOSE}/my-app").json == {"ok": True}
    assert cloudflare.records("f" * 32) == []


@pytest.mark.case("W2")
def test_a_zone_id_that_became_wrong_keeps_what_it_hides(
    api: Api, cloudflare: CloudflareDouble, clock: Clock, cluster: ClusterClient
) -> None:
    api.post(EXPOSE, APP)
    before = cloudflare.records(ZONE_ID)
    wrong = api_with_zones(cloudflare, clock, (DOMAIN, "f" * 32))
    for answer in (wrong.post(EXPOSE, APP), wrong.delete(f"{EXPOSE}/my-app")):
        assert (answer.status, answer.json["code"]) == (502, "dns_misconfigured")
    assert cluster.find(f"{ROUTES}/expose-my-app") is not None
    assert cloudflare.records(ZONE_ID) == before
    assert api.delete(f"{EXPOSE}/my-app").status == 200
    assert cloudflare.records(ZONE_ID) == []


@pytest.mark.case("W2")
@pytest.mark.parametrize("event", [{}, {"friend_id": "alice"}])
def test_reconcile_makes_nothing_in_a_wrong_zone_and_says_so(
    api: Api, cloudflare: CloudflareDouble, clock: Clock, event: Any
) -> None:
    api.post(EXPOSE, APP)
    wrong = api_with_zones(cloudflare, clock, (DOMAIN, "f" * 32))
    for _ in range(2):
        cloudflare.requests.clear()
        report = wrong.reconcile(event)
        assert report["ok"] is False
        assert "dns_misconfigured" in {each["code"] for each in report["failed"]}
        assert {each.method for each in cloudflare.requests} == {"GET"}
    assert cloudflare.records("f" * 32) == []


# W4: a cluster without Traefik's definitions

CLAIM = {"pk": {"S": f"HOST#{HOST}"}, "sk": {"S": "CLAIM"}}
LACKS = pytest.mark.parametrize("others_stay", [False, True])


@pytest.mark.case("W4")
@LACKS
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_without_traefiks_definitions_nothing_is_written_and_an_admin_is_asked_for(
    api: Api, cloudflare: CloudflareDouble, kube: ClusterDouble, query: str, *, others_stay: bool
) -> None:
    kube.undefine(kube_objects.INGRESS_ROUTE, others_stay=others_stay)
    answer = api.post(f"{EXPOSE}{query}", APP)
    assert (answer.status, answer.json["code"]) == (502, "cluster_misconfigured")
    assert "ingressroutes of traefik.io/v1alpha1" in answer.json["error"]
    assert "Ask an admin" in answer.json["error"]
    assert cloudflare.requests == []
    assert api.get(EXPOSE).json == []
    assert "Item" not in boto3.client("dynamodb").get_item(TableName=TABLE, Key=CLAIM)


@pytest.mark.case("W4")
@LACKS
def test_definitions_that_go_take_no_other_part_along_and_come_back_by_reconcile(
    api: Api, cluster: ClusterClient, kube: ClusterDouble, *, others_stay: bool
) -> None:
    api.post(EXPOSE, APP)
    kube.undefine(kube_objects.INGRESS_ROUTE, others_stay=others_stay)
    cluster.delete(f"{POLICIES}/friend-netpol")
    status = api.get(f"{NAMESPACE}/status")
    assert (status.status, status.json["ingressRoutes"]) == (200, [])
    assert {*failing(api.get(f"{EXPOSE}?check=true").json[0])} == {"route", "policy"}
    report = api.reconcile()
    assert [each["code"] for each in report["failed"]] == ["cluster_misconfigured"]
    assert cluster.find(f"{POLICIES}/friend-netpol") is not None
    kube.define(kube_objects.INGRESS_ROUTE)
    assert api.reconcile()["ok"] is True
    assert cluster.find(f"{ROUTES}/expose-my-app") is not None


@pytest.mark.case("W4")
@LACKS
def test_without_definitions_an_exposure_can_still_be_removed(
    api: Api, cloudflare: CloudflareDouble, kube: ClusterDouble, *, others_stay: bool
) -> None:
    api.post(EXPOSE, APP)
    kube.undefine(kube_objects.INGRESS_ROUTE, others_stay=others_stay)
    assert api.delete(f"{EXPOSE}/my-app").json == {"ok": True}
    assert records(cloudflare) == []


@pytest.mark.case("W4")
def test_without_exposures_a_cluster_needs_no_traefik(api: Api, kube: ClusterDouble) -> None:
    kube.undefine(kube_objects.INGRESS_ROUTE)
    assert api.reconcile()["ok"] is True


# L2: names of the platform's own


@pytest.mark.case("L2")
@pytest.mark.parametrize("name", ["friends-api-kc", "admin-login", "secure", "status1"])
def test_what_was_exposed_before_its_name_was_reserved_is_kept_and_can_be_removed(
    api: Api, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert api.post(EXPOSE, APP | {"name": name}).status == 400
    with monkeypatch.context() as before:
        before.setattr("chalicelib.domain.exposures.is_reserved", lambda _: False)
        assert api.post(EXPOSE, APP | {"name": name}).status == 200
    cloudflare.reset()
    assert api.reconcile()["ok"] is True
    assert len(records(cloudflare)) == 1
    assert [each["name"] for each in api.get(EXPOSE).json] == [name]
    assert api.delete(f"{EXPOSE}/{name}").status == 200
    assert records(cloudflare) == []


# H5: what a list costs, and what it knows


@pytest.mark.case("H5")
def test_a_list_in_a_loop_asks_neither_cloudflare_nor_the_cluster(
    api: Api, cloudflare: CloudflareDouble, kube: ClusterDouble
) -> None:
    exposed = api.post(EXPOSE, APP).json
    cloudflare.reset()
    kube.requests.clear()
    for _ in range(50):
        (listed,) = api.get(EXPOSE).json
        assert listed == {key: exposed[key] for key in exposed if key != "ok"}
    assert (cloudflare.requests, kube.requests) == ([], [])


@pytest.mark.case("H5")
def test_a_friend_is_looked_at_every_thirty_seconds_at_most_by_whatever_instance(
    api: Api, cloudflare: CloudflareDouble, clock: Clock
) -> None:
    api.post(EXPOSE, APP)
    cloudflare.reset()
    other = Api(api.environment, now=clock.now)
    first = api.get(f"{EXPOSE}?check=true").json
    assert failing(first[0]) == ["record"]
    assert first[0]["checked_at"]
    looks = len(cloudflare.requests)
    for instance in (api, other) * 10:
        clock.pass_seconds(1)
        assert instance.get(f"{EXPOSE}?check=true").json == first
        assert instance.get(EXPOSE).json == first
    assert len(cloudflare.requests) == looks
    clock.pass_seconds(10)
    (again,) = other.get(f"{EXPOSE}?check=true").json
    assert len(cloudflare.requests) == 2 * looks
    assert again["checked_at"] > first[0]["checked_at"]


@pytest.mark.case("H5")
def test_a_look_that_fails_is_not_repeated_at_once(api: Api, kube: ClusterDouble) -> None:
    api.post(EXPOSE, APP)
    before = api.get(EXPOSE).json
    kube.fail_next(status=403, match="GET .*/pods")
    assert api.get(f"{EXPOSE}?check=true").status == 502
    assert api.get(f"{EXPOSE}?check=true").json == before


@pytest.mark.case("H5")
def test_without_exposures_nothing_is_looked_at(api: Api, kube: ClusterDouble) -> None:
    kube.requests.clear()
    assert api.get(f"{EXPOSE}?check=true").json == []
    assert kube.requests == []


@pytest.mark.case("H5")
def test_what_was_seen_of_another_service_is_not_told_of_this_one(
    api: Api, kube: ClusterDouble
) -> None:
    api.post(EXPOSE, APP)
    api.post(f"{NAMESPACE}/apply", create_service_manifest("other"))
    kube.fail_next(status=403, match="PATCH .*ingressroutes")
    assert api.post(EXPOSE, APP | {"service": "other"}).status == 502
    (listed,) = api.get(EXPOSE).json
    assert listed["checked_at"] is None
    assert all(not each["ok"] for each in listed["checks"])


@pytest.mark.case("H5")
def test_what_was_seen_earlier_does_not_replace_what_was_seen_later(
    api: Api, cloudflare: CloudflareDouble, clock: Clock
) -> None:
    api.post(EXPOSE, APP)
    late = Clock()
    late.moment = clock.now()
    cloudflare.reset()
    (seen,) = look(api, clock)
    slow = DynamoExposureStore(Table(AwsClients(), TABLE))
    record = DynamoFriendStore(Table(AwsClients(), TABLE)).load("alice")
    assert record is not None
    slow.record_checks(replace(record.exposures[0], checks=(), checked_at=timestamp(late.now())))
    assert api.get(EXPOSE).json == [seen]


@pytest.mark.case("H5")
def test_a_row_of_the_version_before_is_read_and_looked_at(api: Api) -> None:
    api.post(EXPOSE, APP)
    boto3.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": {"S": "FRIEND#alice"}, "sk": {"S": "EXPOSURE#my-app"}},
        UpdateExpression="REMOVE checked_at, faults",
    )
    (listed,) = api.get(EXPOSE).json
    assert listed["checked_at"] is None
    assert failing(api.get(f"{EXPOSE}?check=true").json[0]) == []


@pytest.mark.case("H5")
def test_checks_leave_budget_for_exposes_and_exposes_for_reconcile(
    api: Api, cloudflare: CloudflareDouble, clock: Clock
) -> None:
    api.post(EXPOSE, APP)
    use_up(clock, 85)
    refused = api.get(f"{EXPOSE}?check=true")
    assert (refused.status, refused.json["code"]) == (503, "dns_rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert api.post(f"{EXPOSE}?dry_run=true", APP).json["code"] == "dns_rate_limited"
    assert api.post(EXPOSE, APP | {"name": "second"}).status == 200
    use_up(clock, 140)
    assert api.post(EXPOSE, APP | {"name": "third"}).json["code"] == "dns_rate_limited"
    assert api.delete(f"{EXPOSE}/my-app").json["code"] == "dns_rate_limited"
    assert api.reconcile()["ok"] is True
    use_up(clock, 170)
    cloudflare.requests.clear()
    report = api.reconcile()
    assert "dns_rate_limited" in json.dumps(report["failed"])
    assert cloudflare.requests == []
    clock.pass_seconds(60)
    assert api.reconcile()["ok"] is True


def use_up(clock: Clock, sent: int) -> None:
    """Have so many requests of this minute sent already, by whomever."""
    start = clock.now().replace(second=0).strftime("%Y-%m-%dT%H:%M:%SZ")
    boto3.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": {"S": "COUNTER#cloudflare"}, "sk": {"S": start}},
        UpdateExpression="SET sent = :sent",
        ExpressionAttributeValues={":sent": {"N": str(sent)}},
    )


def test_g08_a_create_whose_answer_was_lost_is_found_again(
    api: Api, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    cloudflare.fail_next(drop=True, after=True, match="POST")
    assert api.post(EXPOSE, APP).status == 200
    assert records(cloudflare) == [("CNAME", HOST, TARGET)]


def test_g10_a_freed_name_is_nobody_elses_for_a_ttl(api: Api, clock: Clock) -> None:
    for friend_id in ("c", "b-c"):
        api.register_friend(friend_id)
        deploy(api, friend_id)
    api.post("/api/friends/c/namespace/expose", {"name": "a-b", "service": "web"})
    api.delete("/api/friends/c/namespace/expose/a-b")
    other = {"name": "a", "service": "web"}
    answer = api.post("/api/friends/b-c/namespace/expose", other)
    assert (answer.status, answer.json["code"]) == (409, "hostname_taken")
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert "free five minutes after" in answer.json["error"]
    mine = api.post("/api/friends/c/namespace/expose", {"name": "a-b", "service": "web"})
    assert mine.status == 200
    api.delete("/api/friends/c/namespace/expose/a-b")
    clock.pass_seconds(301)
    assert api.post("/api/friends/b-c/namespace/expose", other).status == 200


def test_g10_the_record_goes_before_the_route(
    api: Api, cloudflare: CloudflareDouble, cluster: ClusterClient
) -> None:
    api.post(EXPOSE, APP)
    cloudflare.fail_next(status=400, match="DELETE", body={"success": False, "errors": []})
    assert api.delete(f"{EXPOSE}/my-app").status == 502
    assert cluster.find(f"{ROUTES}/expose-my-app") is not None
    assert len(api.get(EXPOSE).json) == 1
    assert api.delete(f"{EXPOSE}/my-app").status == 200
    assert records(cloudflare) == []


def test_g12_of_two_records_of_ours_one_is_kept(api: Api, cloudflare: CloudflareDouble) -> None:
    domain = {"domain": "second.example"}
    api.post(EXPOSE, APP | domain)
    (first,) = cloudflare.records("f" * 32)
    copied = {name: first[name] for name in ("type", "name", "comment")}
    cloudflare.seed("f" * 32, **copied, content="203.0.113.10")
    assert api.post(EXPOSE, APP | domain).status == 200
    assert [each["id"] for each in cloudflare.records("f" * 32)] == [first["id"]]


def test_l03_a_route_that_failed_is_finished_by_a_repeat(
    api: Api, clock: Clock, cloudflare: CloudflareDouble, kube: ClusterDouble
) -> None:
    kube.fail_next(status=403, match="PATCH .*ingressroutes")
    assert api.post(EXPOSE, APP).status == 502
    assert failing(look(api, clock)[0]) == ["route"]
    assert api.post(EXPOSE, APP).status == 200
    assert failing(api.get(EXPOSE).json[0]) == []
    assert len(records(cloudflare)) == 1


def test_l07_a_cloudflare_that_is_away_is_never_ok(
    api: Api, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    cloudflare.fail_next(status=503, times=20)
    answer = api.post(EXPOSE, APP)
    assert answer.status == 503
    assert "Retry-After" in answer.headers
    cloudflare.clear()
    assert api.post(EXPOSE, APP).status == 200


def test_another_request_at_work_on_it_is_409(api: Api, clock: Clock) -> None:
    api.post(EXPOSE, APP)
    hold_lease(clock, 40)
    for answer in (api.post(EXPOSE, APP), api.delete(f"{EXPOSE}/my-app")):
        assert (answer.status, answer.json["code"]) == (409, "exposure_busy")
        assert answer.headers["Retry-After"]
    clock.pass_seconds(41)
    assert api.post(EXPOSE, APP).status == 200


def hold_lease(clock: Clock, seconds: int) -> None:
    until = int(clock.now().timestamp()) + seconds
    boto3.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": {"S": f"HOST#{HOST}"}, "sk": {"S": "CLAIM"}},
        UpdateExpression="SET lease_owner = :owner, lease_until = :until",
        ExpressionAttributeValues={":owner": {"S": "dead"}, ":until": {"N": str(until)}},
    )


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_route_that_is_not_ours_is_never_touched(
    api: Api, cluster: ClusterClient, cloudflare: CloudflareDouble, query: str
) -> None:
    cluster.create(
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "IngressRoute",
            "metadata": {"name": "expose-my-app", "namespace": "friend-alice"},
            "spec": {"routes": [{"kind": "Rule", "match": "Host(`corp.example`)"}]},
        }
    )
    before = cluster.get(f"{ROUTES}/expose-my-app")
    answer = api.post(f"{EXPOSE}{query}", APP)
    assert (answer.status, answer.json["code"]) == (409, "route_not_ours")
    assert cluster.get(f"{ROUTES}/expose-my-app") == before
    assert records(cloudflare) == []


def test_a_route_that_says_more_than_ours_is_told(
    api: Api, clock: Clock, cluster: ClusterClient
) -> None:
    api.post(EXPOSE, APP)
    tls = {"spec": {"tls": {"secretName": "nope"}}}
    cluster.merge(f"{ROUTES}/expose-my-app", tls)
    assert failing(look(api, clock)[0]) == ["route"]


@pytest.mark.parametrize(("method", "status"), [("GET", 502), ("POST", 409), ("DELETE", 200)])
def test_l07_an_answer_out_of_place_locks_nothing(
    api: Api, cloudflare: CloudflareDouble, method: str, status: int
) -> None:
    if method == "DELETE":
        api.post(EXPOSE, APP)
    error = {"success": False, "errors": [{"code": 81044, "message": "canary"}], "result": None}
    cloudflare.fail_next(status=400, match=method, body=error, times=9)
    answer = api.delete(f"{EXPOSE}/my-app") if method == "DELETE" else api.post(EXPOSE, APP)
    assert answer.status == status, answer.text
    assert "canary" not in answer.text
    cloudflare.reset()
    assert api.post(EXPOSE, APP).status == 200


@pytest.mark.parametrize("step", ["claim", "lock"])
@pytest.mark.parametrize("commits", [False, True])
def test_l06_a_lease_whose_answer_was_lost_is_given_back(
    api: Api, monkeypatch: pytest.MonkeyPatch, step: str, *, commits: bool
) -> None:
    api.post(EXPOSE, APP)
    method = getattr(DynamoExposureStore, step)

    def fail(*arguments: Any) -> None:
        if commits:
            method(*arguments)
        raise UpstreamUnreachable("DynamoDB is busy.", code="dynamodb_busy")

    def act() -> Any:
        return api.post(EXPOSE, APP) if step == "claim" else api.delete(f"{EXPOSE}/my-app")

    with monkeypatch.context() as patch:
        patch.setattr(DynamoExposureStore, step, fail)
        assert act().status == 503
    assert act().status == 200


@pytest.mark.parametrize(
    "damage", ["REMOVE record_id", "REMOVE port", "SET port = :bad", "SET hostname = :bad"]
)
def test_a_damaged_row_hides_nothing_else(api: Api, damage: str) -> None:
    api.post(EXPOSE, APP)
    api.post(EXPOSE, APP | {"name": "good"})
    table: Any = boto3.resource("dynamodb").Table(TABLE)
    bad = {"ExpressionAttributeValues": {":bad": "api@internal"}} if ":bad" in damage else {}
    key = {"pk": "FRIEND#alice", "sk": "EXPOSURE#my-app"}
    table.update_item(Key=key, UpdateExpression=damage, **bad)
    assert [each["name"] for each in api.get(EXPOSE).json] == ["good"]
    assert api.post(EXPOSE, APP | {"name": "good"}).status == 200
    assert api.get("/api/friends/alice").status == 200


def test_h06_a_new_friend_of_the_id_inherits_no_exposure(
    api: Api, cloudflare: CloudflareDouble, cluster: ClusterClient, clock: Clock
) -> None:
    api.post(EXPOSE, APP)
    key = {"pk": {"S": "FRIEND#alice"}, "sk": {"S": "PROFILE"}}
    boto3.client("dynamodb").delete_item(TableName=TABLE, Key=key)
    cluster.delete_namespace("friend-alice")
    clock.pass_seconds(1)
    api.register_friend()
    deploy(api)
    assert api.get("/api/friends/alice").json["exposures"] == []
    assert api.post(EXPOSE, APP).json["code"] == "hostname_taken"


def test_a_friend_has_so_many_exposures_at_most(api: Api) -> None:
    for number in range(20):
        answer = api.post(EXPOSE, {"name": f"a{number}", "service": "web"})
        assert answer.status == 200, answer.text
    answer = api.post(EXPOSE, {"name": "one-more", "service": "web"})
    assert (answer.status, answer.json["code"]) == (409, "too_many_exposures")


def test_a_blocked_agent_exposes_nothing(api: Api) -> None:
    api.put("/api/friends/alice/agents/mochi", {"status": "blocked"})
    assert api.post(EXPOSE, APP, token=AGENT_TOKEN).status == 403
    assert api.delete(f"{EXPOSE}/my-app", token=AGENT_TOKEN).status == 403


@pytest.mark.case("H5")
def test_who_exposes_in_a_loop_leaves_room_for_others(api: Api) -> None:
    api.register_friend("bob")
    deploy(api, "bob")
    answers = [api.post(EXPOSE, APP, token=AGENT_TOKEN) for _ in range(150)]
    assert {each.status for each in answers} == {200, 429}
    assert answers[-1].headers["Retry-After"]
    url = "/api/friends/bob/namespace/expose"
    answer = api.post(url, {"name": "app", "service": "web"})
    assert answer.status == 200, answer.text
    assert api.delete(f"{url}/app").status == 200
