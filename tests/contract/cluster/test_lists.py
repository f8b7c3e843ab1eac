"""Choosing and paging what a list returns."""

from typing import Any

import pytest

from tests.contract.cluster.builders import (
    build_config_map,
    build_name,
    build_pod,
)
from tests.contract.cluster.target import Place, refusal, succeed
from tests.contract.conftest import MakePlace


@pytest.fixture
def shelf(place: Place) -> Place:
    """A namespace with labelled ConfigMaps: a (red, big), b (blue, big), c (red), d (none)."""
    rows: dict[str, dict[str, str]] = {
        "a": {"colour": "red", "size": "big"},
        "b": {"colour": "blue", "size": "big"},
        "c": {"colour": "red"},
        "d": {},
    }
    for name, labels in rows.items():
        succeed(place.create(build_config_map(name, labels=labels)))
    return place


def names(shelf: Place, **query: Any) -> str:
    """Return the names of the shelf's ConfigMaps that a query chooses."""
    found = [item["metadata"]["name"] for item in shelf.list("configmaps", **query)]
    return "".join(name for name in found if len(name) == 1)


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("", "abcd"),
        ("colour=red", "ac"),
        ("colour==red", "ac"),
        ("colour!=red", "bd"),
        ("colour=red,size=big", "a"),
        ("colour", "abc"),
        ("!colour", "d"),
        ("colour in (red, blue)", "abc"),
        ("colour in (blue)", "b"),
        ("colour notin (red)", "bd"),
        ("size,colour in (red,green)", "a"),
        ("colour=red,!size", "c"),
        ("colour=green", ""),
    ],
)
def test_labels_choose(shelf: Place, selector: str, chosen: str) -> None:
    assert names(shelf, labelSelector=selector) == chosen


@pytest.mark.case("K10")
def test_a_list_at_an_earlier_version_shows_what_was_there(shelf: Place) -> None:
    query = {"fieldSelector": "metadata.name=a", "resourceVersionMatch": "Exact"}
    before = shelf.read(build_config_map("a"))
    after = succeed(shelf.apply(build_config_map("a", {"colour": "red"}), force="true"))
    version = int(after["metadata"]["resourceVersion"])
    for at, data in ((version - 1, before["data"]), (version, {"colour": "red"})):
        (found,) = shelf.list("configmaps", resourceVersion=str(at), **query)
        assert found["data"] == data
    succeed(shelf.delete(build_config_map("a")))
    assert len(shelf.list("configmaps", resourceVersion=str(version), **query)) == 1
    first = int(before["metadata"]["resourceVersion"])
    assert shelf.list("configmaps", resourceVersion=str(first - 1), **query) == []


@pytest.mark.parametrize("selector", ["colour in (red", "colour=red=blue", "=red", "a b"])
def test_what_is_not_a_selector_is_400(shelf: Place, selector: str) -> None:
    path = f"/api/v1/namespaces/{shelf.name}/configmaps"
    answer = shelf.server.call("GET", path, labelSelector=selector)
    assert refusal(answer)[:2] == (400, "BadRequest")


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [("metadata.name=b", "b"), ("metadata.name!=b", "acd"), ("metadata.namespace=nowhere", "")],
)
def test_fields_choose(shelf: Place, selector: str, chosen: str) -> None:
    assert names(shelf, fieldSelector=selector) == chosen


def test_an_unknown_field_to_choose_by_is_400(shelf: Place) -> None:
    path = f"/api/v1/namespaces/{shelf.name}/configmaps"
    answer = shelf.server.call("GET", path, fieldSelector="data.colour=blue")
    code, _, message = refusal(answer)
    assert (code, "is not a known field selector" in message) == (400, True)


def test_a_list_names_its_kind_and_its_items_do_not(shelf: Place) -> None:
    body = succeed(shelf.server.call("GET", f"/api/v1/namespaces/{shelf.name}/configmaps"))
    assert (body["kind"], body["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(body["metadata"]["resourceVersion"]) > 0
    assert all("kind" not in item for item in body["items"])


def test_pages_add_up_to_the_list(shelf: Place) -> None:
    path = f"/api/v1/namespaces/{shelf.name}/configmaps"
    first = succeed(shelf.server.call("GET", path, limit=2))
    total = len(shelf.list("configmaps"))
    assert first["metadata"]["remainingItemCount"] == total - 2
    found, token = first["items"], first["metadata"]["continue"]
    while token:
        page = succeed(shelf.server.call("GET", path, limit=2, **{"continue": token}))
        assert len(page["items"]) <= 2
        found += page["items"]
        token = page["metadata"].get("continue", "")
    seen = [item["metadata"]["name"] for item in found]
    assert seen == [item["metadata"]["name"] for item in shelf.list("configmaps")]
    assert seen == sorted(seen)


def test_pages_of_a_selection_do_not_say_how_many_remain(shelf: Place) -> None:
    path = f"/api/v1/namespaces/{shelf.name}/configmaps"
    page = succeed(shelf.server.call("GET", path, limit=1, labelSelector="colour"))
    assert "continue" in page["metadata"]
    assert "remainingItemCount" not in page["metadata"]
    rest = {"continue": page["metadata"]["continue"], "labelSelector": "colour"}
    assert names(shelf, **rest) == "bc"


@pytest.mark.parametrize("query", [{"continue": "garbage"}, {"limit": "many"}])
def test_a_malformed_page_is_400(shelf: Place, query: dict[str, str]) -> None:
    path = f"/api/v1/namespaces/{shelf.name}/configmaps"
    assert refusal(shelf.server.call("GET", path, **query))[:2] == (400, "BadRequest")


def test_one_list_sees_every_namespace(make_place: MakePlace) -> None:
    places, mark = [make_place(), make_place()], build_name("mark")
    for place in places:
        succeed(place.create(build_config_map(labels={"mark": mark})))
    body = succeed(places[0].server.call("GET", "/api/v1/configmaps", labelSelector=f"mark={mark}"))
    found = [item["metadata"]["namespace"] for item in body["items"]]
    assert found == sorted(place.name for place in places)


def test_namespaces_are_chosen_by_label(place: Place) -> None:
    selector = f"kubernetes.io/metadata.name={place.name}"
    body = succeed(place.server.call("GET", "/api/v1/namespaces", labelSelector=selector))
    assert [item["metadata"]["name"] for item in body["items"]] == [place.name]


def test_pods_are_chosen_by_phase(place: Place) -> None:
    succeed(place.create(build_pod("web", schedulerName="nobody")))
    assert place.list("pods", fieldSelector="status.phase=Failed") == []
    found = place.list("pods", fieldSelector="status.phase!=Failed,metadata.name=web")
    assert len(found) == 1


def test_a_namespace_that_is_not_there_has_an_empty_list(place: Place) -> None:
    path = "/api/v1/namespaces/contract-nowhere/configmaps"
    assert succeed(place.server.call("GET", path))["items"] == []
