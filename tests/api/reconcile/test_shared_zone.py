"""Two domains in one zone: each record is looked at with the domain that it is right below."""

import json
from typing import Any

import pytest

from chalicelib.gateways.cloudflare import CloudflareDns
from infra.local.cloudflare import CloudflareDouble
from tests.api.reconcile.outside import FRIEND, find_row, table
from tests.harness import DOMAIN, ZONE_ID, Api, Clock

BELOW = f"apps.{DOMAIN}"
HOST_BELOW = f"site-alice.{BELOW}"


@pytest.fixture
def both(api: Api, cloudflare: CloudflareDouble, clock: Clock) -> Api:
    """The app with a second domain in the first one's zone, and a site of alice's on each."""
    target = "t.cfargotunnel.com"
    domains = [{"name": each, "zone_id": ZONE_ID, "target": target} for each in (DOMAIN, BELOW)]
    settings = {"DOMAINS": json.dumps(domains), "CLOUDFLARE_URL": cloudflare.url}
    both = Api(settings, now=clock.now)
    expose_below(both)
    return both


def expose_below(api: Api) -> None:
    body = {"name": "site", "service": "web", "domain": BELOW}
    assert api.post(f"{FRIEND}/namespace/expose", body).status == 200


def test_what_is_on_one_domain_is_no_orphan_of_the_other(both: Api) -> None:
    report = both.reconcile()
    assert (report["ok"], report["orphans"], report["unproved"]) == (True, 0, [])


def test_a_record_that_is_wanted_again_is_known_by_its_own_friend(
    both: Api, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = find_row("FRIEND#alice", "EXPOSURE#site")
    left = [each for each in cloudflare.records(ZONE_ID) if each["name"] == HOST_BELOW]
    assert both.delete(f"{FRIEND}/namespace/expose/site").status == 200
    fields = ("name", "type", "content", "comment", "proxied", "ttl")
    cloudflare.seed(ZONE_ID, **{name: left[0][name] for name in fields})
    list_all, listings = CloudflareDns.list_all, list[Any]()

    def list_early(self: Any, *about: Any) -> Any:
        found = list_all(self, *about)
        listings.append(found)
        if len(listings) == 2:
            table().put_item(Item=row)
        return found

    monkeypatch.setattr(CloudflareDns, "list_all", list_early)
    both.reconcile()
    assert HOST_BELOW in [each["name"] for each in cloudflare.records(ZONE_ID)]
