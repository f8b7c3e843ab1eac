"""What is put up again while a run deletes what was left of it: one of the two waits."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.cluster import _OpenCluster
from infra.local.cloudflare import CloudflareDouble
from tests.api.reconcile.outside import FRIEND, HOST, ROUTE, Outside, remove_exposure
from tests.harness import DOMAIN, ZONE_ID, Api

WRITE = (CloudflareDns, "write")
DELETE = (_OpenCluster, "delete")


def expose(api: Api) -> Any:
    """Expose the Service again, under the same name."""
    return api.post(f"{FRIEND}/namespace/expose", {"name": "app", "service": "web"})


def before(
    call: tuple[type, str], step: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> list[Any]:
    """Take the step before the first such call; return what will have what it returned."""
    owner, name = call
    method, found = getattr(owner, name), list[Any]()

    def call_late(self: Any, *about: Any, **options: Any) -> Any:
        if not found:
            found.append(None)
            found[0] = step()
        return method(self, *about, **options)

    monkeypatch.setattr(owner, name, call_late)
    return found


@pytest.mark.parametrize("call", [WRITE, DELETE], ids=["record", "route"])
def test_who_is_told_that_it_is_up_is_right(
    api: Api,
    outside: Outside,
    cloudflare: CloudflareDouble,
    call: tuple[type, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remove_exposure()
    with monkeypatch.context() as patch:
        exposed = before(call, lambda: expose(api), patch)
        api.reconcile()
    (answer,) = exposed
    assert (answer.status, answer.json["code"]) == (409, "exposure_busy")
    assert int(answer.headers["Retry-After"]) >= 1
    assert expose(api).status == 200
    assert outside.cluster.find(ROUTE)
    assert [each["name"] for each in cloudflare.records(ZONE_ID)] == [HOST]
    report = api.reconcile()
    assert (report["ok"], report["changed"]) == (True, 0)


def test_what_was_put_up_before_the_look_stays(
    api: Api,
    outside: Outside,
    cloudflare: CloudflareDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remove_exposure()
    with monkeypatch.context() as patch:
        listed = before((CloudflareDns, "list_all"), lambda: expose(api), patch)
        api.reconcile()
    assert listed[0].status == 200
    assert outside.cluster.find(ROUTE)
    assert [each["name"] for each in cloudflare.records(ZONE_ID)] == [HOST]


def test_a_route_that_leads_from_another_domain_by_now_stays(
    api: Api, outside: Outside, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "t.cfargotunnel.com"
    names = (DOMAIN, f"apps.{DOMAIN}")
    domains = [{"name": each, "zone_id": ZONE_ID, "target": target} for each in names]
    both = Api({"DOMAINS": json.dumps(domains), "CLOUDFLARE_URL": cloudflare.url})
    remove_exposure()
    body = {"name": "app", "service": "web", "domain": names[1]}
    with monkeypatch.context() as patch:
        exposed = before(DELETE, lambda: both.post(f"{FRIEND}/namespace/expose", body), patch)
        both.reconcile()
    assert exposed[0].status == 200
    (rule,) = outside.cluster.get(ROUTE)["spec"]["routes"]
    assert rule["match"] == f"Host(`app-alice.{names[1]}`)"
