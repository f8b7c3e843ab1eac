"""What is taken, refused and kept, where a double is easily more lenient than a server."""

from typing import Any

import pytest

from tests.contract.cluster.builders import (
    Manifest,
    build_config_map,
    build_container,
    build_cron_job,
    build_deployment,
    build_job,
    build_network_policy,
    build_pod,
    build_service,
)
from tests.contract.cluster.target import Place, Server, causes, eventually, refusal, succeed

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
BASE64 = "c3dvcmRmaXNo"
WRAPPED = ["c3dv\ncmRm\naXNo\n", "c3dv\r\ncmRmaXNo", "\nc3dvcmRmaXNo"]


def build_secret(data: dict[str, str]) -> Manifest:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "data": data}


@pytest.mark.case("K16")
@pytest.mark.parametrize("text", WRAPPED)
def test_base64_in_lines_is_taken_and_stored_in_one(place: Place, text: str) -> None:
    secret = build_secret({"password": text})
    succeed(place.create(secret))
    assert place.read(secret)["data"] == {"password": BASE64}
    settings = build_config_map() | {"binaryData": {"logo": text}}
    succeed(place.apply(settings))
    assert place.read(settings)["binaryData"] == {"logo": BASE64}
    succeed(place.apply(settings))
    assert place.read(settings)["binaryData"] == {"logo": BASE64}


@pytest.mark.case("K16")
@pytest.mark.parametrize("text", ["!!", "c3dv cmRm", "c3d", "c3dvcmRmaXN=="])
def test_what_is_no_base64_is_400(place: Place, text: str) -> None:
    code, reason, message = refusal(place.create(build_secret({"password": text})))
    assert (code, reason) == (400, "BadRequest")
    assert "illegal base64 data at input byte" in message


@pytest.mark.case("K16")
@pytest.mark.parametrize("address", ["10.96.0.200", "None", "10.0.0.200"])
def test_the_address_of_a_service_does_not_change(place: Place, address: str) -> None:
    succeed(place.create(build_service()))
    for answer in (
        place.merge(build_service(), {"spec": {"clusterIP": address}}),
        place.apply(build_service(clusterIP=address), force="true"),
    ):
        assert refusal(answer)[:2] == (422, "Invalid")
        assert ("FieldValueInvalid", "spec.clusterIPs[0]") in causes(answer), answer.text


def test_a_service_keeps_its_address_where_none_is_said(place: Place) -> None:
    address = succeed(place.create(build_service()))["spec"]["clusterIP"]
    changed = succeed(place.merge(build_service(), {"spec": {"selector": {"app": "other"}}}))
    assert (changed["spec"]["clusterIP"], changed["spec"]["clusterIPs"]) == (address, [address])


def zoned(zone: str) -> Manifest:
    """Return a CronJob of a time zone."""
    manifest = build_cron_job()
    manifest["spec"]["timeZone"] = zone
    return manifest


@pytest.mark.case("K16")
@pytest.mark.parametrize("zone", ["Mars/Olympus", "Local", "", "../UTC", "UTC+2"])
def test_a_time_zone_that_is_not_there_is_422(place: Place, zone: str) -> None:
    answer = place.create(zoned(zone))
    assert refusal(answer)[:2] == (422, "Invalid")
    assert ("FieldValueInvalid", "spec.timeZone") in causes(answer)


@pytest.mark.parametrize("zone", ["Etc/UTC", "Europe/Berlin", "UTC"])
def test_a_time_zone_is_kept(place: Place, zone: str) -> None:
    assert succeed(place.create(zoned(zone)))["spec"]["timeZone"] == zone


FROM = {"configMapKeyRef": {"name": "settings", "key": "colour"}}


@pytest.mark.case("K16")
@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda item: build_pod("web", item), "spec.containers[0]"),
        (lambda item: build_deployment(container=item), "spec.template.spec.containers[0]"),
        (
            lambda item: build_job(pod={"initContainers": [{**item, "name": "first"}]}),
            "spec.template.spec.initContainers[0]",
        ),
    ],
    ids=["pod", "deployment", "job"],
)
def test_a_variable_with_two_values_is_422(place: Place, build: Any, field: str) -> None:
    item = build_container(env=[{"name": "A", "value": "1", "valueFrom": FROM}])
    answer = place.create(build(item))
    assert refusal(answer)[:2] == (422, "Invalid")
    assert ("FieldValueInvalid", f"{field}.env[0].valueFrom") in causes(answer)


@pytest.mark.case("K16")
@pytest.mark.parametrize(
    "source", [{}, {"configMapKeyRef": FROM["configMapKeyRef"], "fieldRef": {"fieldPath": "x"}}]
)
def test_a_variable_has_one_source(place: Place, source: Any) -> None:
    item = build_container(env=[{"name": "A", "valueFrom": source}])
    answer = place.create(build_pod("web", item))
    assert refusal(answer)[:2] == (422, "Invalid")
    assert ("FieldValueInvalid", "spec.containers[0].env[0].valueFrom") in causes(answer)


@pytest.mark.case("K16")
@pytest.mark.parametrize("build", [build_config_map, build_service, build_network_policy])
def test_what_has_a_finalizer_stays_until_that_is_removed(place: Place, build: Any) -> None:
    manifest = build()
    manifest["metadata"]["finalizers"] = ["example.com/held"]
    succeed(place.create(manifest))
    assert place.delete(manifest).status_code == 200
    held = place.read(manifest)
    assert held["metadata"]["deletionTimestamp"]
    assert place.delete(manifest).status_code == 200
    again = place.read(manifest)["metadata"]
    assert again["deletionTimestamp"] == held["metadata"]["deletionTimestamp"]
    succeed(place.merge(manifest, {"metadata": {"finalizers": None}}))
    eventually(lambda: place.get(manifest).status_code == 404)


@pytest.mark.case("K16")
def test_a_namespace_stays_while_a_finalizer_holds_something_in_it(place: Place) -> None:
    held = build_config_map("held")
    held["metadata"]["finalizers"] = ["example.com/held"]
    succeed(place.create(held))
    succeed(place.create(build_config_map("free")))
    path = f"/api/v1/namespaces/{place.name}"
    assert place.server.call("DELETE", path).ok
    eventually(lambda: place.get(build_config_map("free")).status_code == 404)
    assert place.read(held)["metadata"]["deletionTimestamp"]
    assert succeed(place.server.call("GET", path))["status"]["phase"] == "Terminating"
    succeed(place.merge(held, {"metadata": {"finalizers": None}}))
    eventually(lambda: place.server.call("GET", path).status_code == 404, seconds=60)


def read_table(server: Server, path: str, **query: Any) -> Any:
    """Return a list as kubectl asks for it."""
    answer = server.session.get(
        f"{server.url}{path}", params=query, headers={"accept": TABLE}, timeout=30
    )
    return succeed(answer)


@pytest.mark.case("K16")
@pytest.mark.parametrize(
    ("plural", "manifest", "columns"),
    [
        ("/api/v1|pods", build_pod(), ["Name", "Ready", "Status", "Restarts", "Age"]),
        (
            "/api/v1|services",
            build_service(),
            ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age"],
        ),
        ("/api/v1|configmaps", build_config_map("a"), ["Name", "Data", "Age"]),
        (
            "/apis/apps/v1|deployments",
            build_deployment(),
            ["Name", "Ready", "Up-to-date", "Available", "Age"],
        ),
        (
            "/apis/batch/v1|jobs",
            build_job(suspend=True),
            ["Name", "Status", "Completions", "Duration", "Age"],
        ),
        (
            "/apis/batch/v1|cronjobs",
            build_cron_job(),
            ["Name", "Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age"],
        ),
    ],
    ids=["pods", "services", "configmaps", "deployments", "jobs", "cronjobs"],
)
def test_kubectl_gets_a_table(
    place: Place, plural: str, manifest: Manifest, columns: list[str]
) -> None:
    succeed(place.create(manifest))
    api, _, name = plural.partition("|")
    path = f"{api}/namespaces/{place.name}/{name}"
    table = read_table(place.server, path)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    shown = [each["name"] for each in table["columnDefinitions"] if not each["priority"]]
    assert shown == columns
    rows = {row["object"]["metadata"]["name"]: row for row in table["rows"]}
    row = rows[manifest["metadata"]["name"]]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert len(row["cells"]) == len(table["columnDefinitions"])
    assert row["cells"][0] == manifest["metadata"]["name"]
    alone = read_table(place.server, f"{path}/{manifest['metadata']['name']}")
    assert [each["cells"][0] for each in alone["rows"]] == [manifest["metadata"]["name"]]


@pytest.mark.case("M9")
@pytest.mark.parametrize(
    ("cidr", "inside"),
    [("0.0.0.0/0", "fd00::/8"), ("2000::/3", "fc00::/7"), ("10.0.0.0/8", "10.0.0.0/8")],
)
def test_an_exception_outside_of_its_range_is_422(place: Place, cidr: str, inside: str) -> None:
    block = {"ipBlock": {"cidr": cidr, "except": [inside]}}
    policy = build_network_policy()
    policy["spec"] = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [block]}]}
    answer = place.create(policy)
    assert refusal(answer)[:2] == (422, "Invalid")
    assert causes(answer) == [("FieldValueInvalid", "spec.egress[0].to[0].ipBlock.except[0]")]
