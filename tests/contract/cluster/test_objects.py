"""Creating, reading, changing and deleting one object, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.cluster.builders import (
    IMAGE,
    Manifest,
    build_config_map,
    build_container,
    build_cron_job,
    build_deployment,
    build_ingress_route,
    build_job,
    build_limit_range,
    build_network_policy,
    build_pod,
    build_quota,
    build_role_binding,
    build_service,
)
from tests.contract.cluster.target import Place, Server, causes, eventually, refusal, succeed

BUILDERS: list[Callable[[], Manifest]] = [
    build_config_map,
    build_cron_job,
    build_deployment,
    build_job,
    build_limit_range,
    build_network_policy,
    build_pod,
    build_quota,
    build_role_binding,
    build_service,
]


@pytest.mark.parametrize("build", BUILDERS)
def test_an_object_of_each_kind_is_created_read_and_deleted(
    place: Place, build: Callable[[], Manifest]
) -> None:
    manifest = build()
    created = place.create(manifest)
    assert created.status_code == 201, created.text
    read = place.read(manifest)
    assert read["kind"] == manifest["kind"]
    assert read["apiVersion"] == manifest["apiVersion"]
    assert read["metadata"]["namespace"] == place.name
    assert read["metadata"]["uid"] == created.json()["metadata"]["uid"]
    assert place.delete(manifest, gracePeriodSeconds=0).status_code == 200
    eventually(lambda: place.get(manifest).status_code == 404)


def test_an_object_that_is_not_there_is_404(place: Place) -> None:
    manifest = build_deployment("ghost")
    for answer in (place.get(manifest), place.delete(manifest), place.replace(manifest)):
        assert refusal(answer) == (404, "NotFound", 'deployments.apps "ghost" not found')
        details = answer.json()["details"]
        assert details == {"name": "ghost", "group": "apps", "kind": "deployments"}


def test_a_second_object_of_one_name_is_409(place: Place) -> None:
    succeed(place.create(build_config_map()))
    answer = place.create(build_config_map())
    assert refusal(answer) == (409, "AlreadyExists", 'configmaps "settings" already exists')


def test_a_namespace_that_is_not_there_is_404_for_what_would_be_in_it(server: Server) -> None:
    nowhere = Place(server, "contract-nowhere")
    for answer in (nowhere.create(build_config_map()), nowhere.apply(build_config_map())):
        assert refusal(answer) == (404, "NotFound", 'namespaces "contract-nowhere" not found')


def test_an_object_of_another_namespace_is_400(place: Place) -> None:
    manifest = build_config_map()
    manifest["metadata"]["namespace"] = "elsewhere"
    for answer in (place.create(manifest), place.apply(manifest)):
        code, reason, message = refusal(answer)
        assert (code, reason) == (400, "BadRequest")
        assert "does not match the namespace sent on the request" in message


def test_an_object_of_another_name_is_400(place: Place) -> None:
    succeed(place.create(build_config_map()))
    path, other = place.path(build_config_map()), build_config_map("other")
    for answer in (place.server.apply(path, other), place.server.call("PUT", path, other)):
        code, _, message = refusal(answer)
        assert (code, "does not match the name on the URL" in message) == (400, True)


def test_a_body_of_another_kind_is_400(place: Place) -> None:
    path = place.path(build_config_map(), named=False)
    assert refusal(place.server.call("POST", path, build_service()))[:2] == (400, "BadRequest")


def test_a_body_that_is_not_json_is_400(place: Place) -> None:
    path = place.path(build_config_map(), named=False)
    assert refusal(place.server.call("POST", path, b"{nope"))[:2] == (400, "BadRequest")


def test_a_generated_name_is_told(place: Place) -> None:
    manifest = build_config_map()
    manifest["metadata"] = {"generateName": "made-"}
    names = {succeed(place.create(manifest))["metadata"]["name"] for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("made-") and len(name) == 10 for name in names)


def test_every_change_has_a_later_resource_version(place: Place) -> None:
    first = succeed(place.create(build_config_map()))
    second = succeed(place.replace(build_config_map(data={"colour": "red"})))
    versions = [int(one["metadata"]["resourceVersion"]) for one in (first, second)]
    assert versions[0] < versions[1]
    assert second["data"] == {"colour": "red"}
    assert second["metadata"]["uid"] == first["metadata"]["uid"]


def test_a_replacement_of_an_older_version_is_409(place: Place) -> None:
    old = succeed(place.create(build_config_map()))
    succeed(place.replace(build_config_map(data={"colour": "red"})))
    code, reason, message = refusal(place.replace(old))
    assert (code, reason) == (409, "Conflict")
    assert message.startswith('Operation cannot be fulfilled on configmaps "settings": the object')


def test_a_merge_patch_sets_and_removes(place: Place) -> None:
    succeed(place.create(build_config_map(data={"colour": "blue", "size": "1"})))
    patch = {"data": {"size": None, "shape": "round"}}
    patched = succeed(place.merge(build_config_map(), patch))
    assert patched["data"] == {"colour": "blue", "shape": "round"}


def test_a_merge_patch_that_changes_nothing_keeps_the_version(place: Place) -> None:
    created = succeed(place.create(build_config_map()))
    patched = succeed(place.merge(build_config_map(), {"data": {"colour": "blue"}}))
    assert patched["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


def test_a_patch_of_an_unknown_type_is_415(place: Place) -> None:
    succeed(place.create(build_config_map()))
    answer = place.server.call(
        "PATCH", place.path(build_config_map()), {}, content_type="application/nope"
    )
    assert refusal(answer)[:2] == (415, "UnsupportedMediaType")


def test_a_delete_with_another_uid_is_409(place: Place) -> None:
    succeed(place.create(build_config_map()))
    options = {"preconditions": {"uid": "another"}}
    answer = place.server.call("DELETE", place.path(build_config_map()), options)
    assert refusal(answer)[:2] == (409, "Conflict")
    assert place.get(build_config_map()).ok


def test_the_options_in_the_body_of_a_delete_are_all_its_options(place: Place) -> None:
    manifest = build_config_map()
    uid = succeed(place.create(manifest))["metadata"]["uid"]
    rehearsal = {"dryRun": ["All"], "preconditions": {"uid": uid}}
    succeed(place.server.call("DELETE", place.path(manifest), rehearsal))
    assert place.get(manifest).ok
    stale = {"dryRun": ["All"], "preconditions": {"uid": "another"}}
    assert refusal(place.server.call("DELETE", place.path(manifest), stale))[0] == 409
    succeed(place.server.call("DELETE", place.path(manifest), {}, dryRun="All"))
    assert place.get(manifest).status_code == 404


def test_a_dry_run_in_the_query_of_a_delete_deletes_nothing(place: Place) -> None:
    manifest = build_config_map()
    succeed(place.create(manifest))
    succeed(place.delete(manifest, dryRun="All"))
    assert place.get(manifest).ok


def test_a_dry_run_answers_alike_and_keeps_nothing(place: Place) -> None:
    manifest = build_config_map()
    created = place.create(manifest, dryRun="All")
    applied = place.apply(manifest, dryRun="All")
    assert (created.status_code, applied.status_code) == (201, 201)
    assert applied.json()["data"] == manifest["data"]
    assert place.get(manifest).status_code == 404
    succeed(place.create(manifest))
    changed = place.apply(build_config_map(data={"size": "2"}), dryRun="All")
    assert changed.json()["data"] == {"colour": "blue", "size": "2"}
    assert place.delete(manifest, dryRun="All").status_code == 200
    assert place.read(manifest)["data"] == {"colour": "blue"}


def test_a_dry_run_is_refused_as_the_real_run_would_be(place: Place) -> None:
    answer = place.apply(build_deployment(replicas=-1), dryRun="All")
    assert refusal(answer)[:2] == (422, "Invalid")


def test_another_word_for_dry_run_is_422(place: Place) -> None:
    assert refusal(place.create(build_config_map(), dryRun="Some"))[:2] == (422, "Invalid")


def test_an_unknown_field_is_400_under_strict_validation(place: Place) -> None:
    manifest = build_deployment(container=build_container(imagine="x"))
    code, reason, message = refusal(place.create(manifest, fieldValidation="Strict"))
    assert (code, reason) == (400, "BadRequest")
    assert 'unknown field "spec.template.spec.containers[0].imagine"' in message


def test_an_unknown_field_is_dropped_with_a_warning_otherwise(place: Place) -> None:
    answer = place.create(build_config_map() | {"spoc": 1})
    assert "spoc" not in succeed(answer)
    assert 'unknown field \\"spoc\\"' in answer.headers["warning"]
    assert answer.headers["warning"].startswith("299 ")


@pytest.mark.parametrize(
    "manifest",
    [
        build_config_map(data={"size": 1}),
        build_deployment() | {"spec": "x"},
        build_deployment(replicas="1"),  # type: ignore[arg-type]  # what is tested
        build_pod("web", build_container(resources={"limits": {"cpu": "lots"}})),
    ],
)
def test_a_value_of_another_type_is_400(place: Place, manifest: Manifest) -> None:
    assert refusal(place.create(manifest))[:2] == (400, "BadRequest")


def _deployment_without(field: str) -> Manifest:
    manifest = build_deployment()
    del manifest["spec"][field]
    return manifest


INVALID: list[tuple[Manifest, tuple[str, str]]] = [
    (build_config_map("Bad_Name"), ("FieldValueInvalid", "metadata.name")),
    (build_config_map("-x"), ("FieldValueInvalid", "metadata.name")),
    (build_config_map(""), ("FieldValueRequired", "metadata.name")),
    (build_config_map(labels={"mood": "so so"}), ("FieldValueInvalid", "metadata.labels")),
    (build_config_map(data={"a/b": "c"}), ("FieldValueInvalid", "data[a/b]")),
    (build_deployment(replicas=-1), ("FieldValueInvalid", "spec.replicas")),
    (_deployment_without("selector"), ("FieldValueRequired", "spec.selector")),
    (
        build_deployment(selector={"matchLabels": {"app": "other"}}),
        ("FieldValueInvalid", "spec.template.metadata.labels"),
    ),
    (
        build_deployment(container={"name": "web"}),
        ("FieldValueRequired", "spec.template.spec.containers[0].image"),
    ),
    (
        build_deployment(container={"image": IMAGE}),
        ("FieldValueRequired", "spec.template.spec.containers[0].name"),
    ),
    (
        build_deployment(pod={"restartPolicy": "Never"}),
        ("FieldValueNotSupported", "spec.template.spec.restartPolicy"),
    ),
    (
        build_pod("web", build_container(), build_container()),
        ("FieldValueDuplicate", "spec.containers[1].name"),
    ),
    (
        build_pod("web", build_container(ports=[{"containerPort": 0}])),
        ("FieldValueRequired", "spec.containers[0].ports[0].containerPort"),
    ),
    (
        build_pod("web", build_container(ports=[{"containerPort": 70000}])),
        ("FieldValueInvalid", "spec.containers[0].ports[0].containerPort"),
    ),
    (
        build_pod("web", build_container(volumeMounts=[{"name": "v", "mountPath": "/v"}])),
        ("FieldValueNotFound", "spec.containers[0].volumeMounts[0].name"),
    ),
    (
        build_pod("web", build_container(env=[{"value": "1"}])),
        ("FieldValueRequired", "spec.containers[0].env[0].name"),
    ),
    (
        build_pod("web", build_container(readinessProbe={"periodSeconds": 1})),
        ("FieldValueRequired", "spec.containers[0].readinessProbe"),
    ),
    (
        build_pod("web", build_container(livenessProbe={"httpGet": {"path": "/"}})),
        ("FieldValueInvalid", "spec.containers[0].livenessProbe.httpGet.port"),
    ),
    (build_service(ports=[{"port": 70000}]), ("FieldValueInvalid", "spec.ports[0].port")),
    (build_service(ports=[]), ("FieldValueRequired", "spec.ports")),
    (build_service(type="Odd"), ("FieldValueNotSupported", "spec.type")),
    (build_cron_job(schedule="never"), ("FieldValueInvalid", "spec.schedule")),
    (
        build_job(pod={"restartPolicy": "Always"}),
        ("FieldValueRequired", "spec.template.spec.restartPolicy"),
    ),
    (build_job(backoffLimit=-1), ("FieldValueInvalid", "spec.backoffLimit")),
    (build_quota(pods="-1"), ("FieldValueInvalid", "spec.hard[pods]")),
]


@pytest.mark.parametrize(("manifest", "cause"), INVALID, ids=[cause[1] for _, cause in INVALID])
def test_an_invalid_object_is_422_and_names_the_field(
    place: Place, manifest: Manifest, cause: tuple[str, str]
) -> None:
    answer = place.create(manifest)
    code, reason, message = refusal(answer)
    assert (code, reason) == (422, "Invalid")
    assert cause in causes(answer), answer.text
    assert f'"{manifest["metadata"]["name"]}" is invalid: ' in message


def test_every_fault_of_an_object_is_named(place: Place) -> None:
    containers = [build_container(image=""), build_container("Web_2")]
    answer = place.create(build_pod("web", *containers))
    assert causes(answer) == [
        ("FieldValueRequired", "spec.containers[0].image"),
        ("FieldValueInvalid", "spec.containers[1].name"),
    ]


@pytest.mark.parametrize(
    ("manifest", "change", "field"),
    [
        (
            build_deployment(),
            {"spec": {"selector": {"matchLabels": {"app": "web", "tier": "x"}}}},
            "spec.selector",
        ),
        (build_role_binding(), {"roleRef": {"name": "edit"}}, "roleRef"),
        (build_job(), {"spec": {"completions": 3}}, "spec.completions"),
    ],
)
def test_what_must_not_change_is_422(
    place: Place, manifest: Manifest, change: Any, field: str
) -> None:
    succeed(place.create(manifest))
    answer = place.merge(manifest, change)
    assert refusal(answer)[:2] == (422, "Invalid")
    assert ("FieldValueInvalid", field) in causes(answer)


def test_an_immutable_config_map_stays_as_it_is(place: Place) -> None:
    succeed(place.create(build_config_map() | {"immutable": True}))
    answer = place.merge(build_config_map(), {"data": {"colour": "red"}})
    assert refusal(answer)[:2] == (422, "Invalid")


def test_a_secret_is_stored_in_base64(place: Place) -> None:
    secret: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login"},
        "stringData": {"password": "swordfish"},
    }
    succeed(place.create(secret))
    read = place.read(secret)
    assert read["data"] == {"password": "c3dvcmRmaXNo"}
    assert (read["type"], "stringData" in read) == ("Opaque", False)
    bad = {**secret, "metadata": {"name": "bad"}, "stringData": {}, "data": {"password": "!!"}}
    assert refusal(place.create(bad))[:2] == (400, "BadRequest")


def test_defaults_are_filled_in(place: Place) -> None:
    spec = succeed(place.create(build_deployment()))["spec"]
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert spec["revisionHistoryLimit"] == 10
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert spec["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    service = succeed(place.create(build_service()))["spec"]
    assert service["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (service["type"], service["clusterIP"] != "") == ("ClusterIP", True)


def test_quantities_are_stored_in_their_canonical_spelling(place: Place) -> None:
    quota = build_quota(requests__cpu="1000m", requests__memory="0.5Gi", pods="3")
    hard = succeed(place.create(quota))["spec"]["hard"]
    assert hard == {"requests.cpu": "1", "requests.memory": "512Mi", "pods": "3"}


def test_a_custom_resource_is_kept_as_it_is(traefik_place: Place) -> None:
    manifest = build_ingress_route()
    created = succeed(traefik_place.create(manifest))
    assert created["spec"] == manifest["spec"]
    assert created["metadata"]["generation"] == 1
    changed = build_ingress_route(host="other.example.net")
    code, _, message = refusal(traefik_place.replace(changed))
    assert (code, "must be specified for an update" in message) == (422, True)
    changed["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"]
    assert succeed(traefik_place.replace(changed))["metadata"]["generation"] == 2
    deleted = succeed(traefik_place.delete(manifest))
    assert (deleted["kind"], deleted["status"]) == ("Status", "Success")


def test_items_of_a_custom_list_name_their_kind(traefik_place: Place) -> None:
    succeed(traefik_place.create(build_ingress_route()))
    (item,) = traefik_place.list("ingressroutes", api="/apis/traefik.io/v1alpha1")
    assert (item["kind"], item["apiVersion"]) == ("IngressRoute", "traefik.io/v1alpha1")
