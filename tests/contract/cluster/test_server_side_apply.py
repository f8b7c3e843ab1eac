"""Server-side apply: what one manager owns, what two share, and how they collide."""

import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.contract.cluster.builders import (
    Manifest,
    build_config_map,
    build_container,
    build_deployment,
    build_ingress_route,
    build_network_policy,
    build_quota,
    build_role_binding,
    build_service,
)
from tests.contract.cluster.target import Place, causes, refusal, succeed


def version(body: Any) -> str:
    """Return an object's resource version."""
    return str(body["metadata"]["resourceVersion"])


def owned(body: Any, manager: str) -> Any:
    """Return the fields that a manager has applied, or None."""
    for entry in body["metadata"].get("managedFields", ()):
        if (entry["manager"], entry["operation"]) == (manager, "Apply"):
            return entry["fieldsV1"]
    return None


def container_of(body: Any, name: str = "web") -> Any:
    """Return a container of a Deployment's template."""
    containers = body["spec"]["template"]["spec"]["containers"]
    return next(item for item in containers if item["name"] == name)


def test_the_first_apply_creates_and_is_recorded(place: Place) -> None:
    answer = place.apply(build_config_map())
    assert answer.status_code == 201
    (entry,) = answer.json()["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("alpha", "Apply")
    assert entry["fieldsV1"] == {"f:data": {"f:colour": {}}}


@pytest.mark.parametrize(
    "manifest",
    [
        build_config_map(),
        build_deployment(container=build_container(ports=[{"containerPort": 80}])),
        build_deployment(container=build_container(resources={"limits": {"cpu": "1000m"}})),
        build_service(ports=[{"port": 80, "targetPort": 8080}]),
        build_network_policy(),
        build_role_binding(),
        build_quota(requests__cpu="1000m"),
    ],
    ids=lambda manifest: str(manifest["kind"]),
)
def test_an_apply_that_changes_nothing_changes_nothing(place: Place, manifest: Manifest) -> None:
    first = place.apply(manifest)
    assert first.status_code == 201, first.text
    before = place.read(manifest)
    again = place.apply(manifest)
    assert again.status_code == 200
    assert again.json()["metadata"]["managedFields"][0]["manager"] == "alpha"
    assert again.json()["spec" if "spec" in before else "metadata"] is not None
    assert _without_status(again.json()) == _without_status(place.read(manifest))


def _without_status(body: Any) -> Any:
    """Return what a controller does not touch meanwhile."""
    metadata = {
        name: value
        for name, value in body["metadata"].items()
        if name not in {"resourceVersion", "managedFields", "annotations"}
    }
    return {n: v for n, v in body.items() if n != "status"} | {"metadata": metadata}


def test_an_unchanged_apply_keeps_the_version(traefik_place: Place) -> None:
    for manifest in (build_config_map(), build_ingress_route(), build_network_policy()):
        first = succeed(traefik_place.apply(manifest))
        assert version(succeed(traefik_place.apply(manifest))) == version(first)


def test_an_apply_dates_its_manager_anew_when_it_changes_something(place: Place) -> None:
    """Whole seconds, on the clock that the answer's Date header tells."""

    def date_of(answer: Any) -> str:
        (entry,) = answer.json()["metadata"]["managedFields"]
        return str(entry["time"])

    def age_of(answer: Any) -> float:
        written = datetime.fromisoformat(date_of(answer))
        return (parsedate_to_datetime(answer.headers["Date"]) - written).total_seconds()

    first = place.apply(build_config_map())
    time.sleep(3.1)
    again = place.apply(build_config_map())
    assert date_of(again) == date_of(first)
    assert age_of(again) >= 3
    changed = place.apply(build_config_map(data={"colour": "red"}))
    assert age_of(changed) <= 2
    rehearsed = place.apply(build_config_map(data={"colour": "green"}), dryRun="All")
    assert age_of(rehearsed) <= 2


def test_a_changed_apply_has_a_new_version(place: Place) -> None:
    first = succeed(place.apply(build_config_map()))
    answer = place.apply(build_config_map(data={"colour": "red"}))
    assert (answer.status_code, answer.json()["data"]) == (200, {"colour": "red"})
    assert version(answer.json()) != version(first)


def test_a_field_that_is_no_longer_applied_is_removed(place: Place) -> None:
    succeed(
        place.apply(build_config_map(data={"colour": "blue", "size": "1"}, labels={"mood": "good"}))
    )
    body = succeed(place.apply(build_config_map(data={"colour": "blue"})))
    assert body["data"] == {"colour": "blue"}
    assert "labels" not in body["metadata"]


def test_a_field_of_another_manager_stays(place: Place) -> None:
    succeed(place.apply(build_config_map(data={"colour": "blue"})))
    succeed(place.apply(build_config_map(data={"size": "1"}), manager="beta"))
    body = succeed(place.apply(build_config_map(data={"shape": "round"})))
    assert body["data"] == {"shape": "round", "size": "1"}


def test_a_field_that_two_managers_apply_stays_until_both_let_go(place: Place) -> None:
    for manager in ("alpha", "beta"):
        succeed(place.apply(build_config_map(), manager=manager))
    without: dict[str, str] = {"size": "1"}
    assert succeed(place.apply(build_config_map(data=without)))["data"] == {
        "colour": "blue",
        "size": "1",
    }
    last = succeed(place.apply(build_config_map(data=without), manager="beta"))
    assert last["data"] == without


def test_another_managers_value_is_a_conflict(place: Place) -> None:
    first = succeed(place.apply(build_config_map()))
    answer = place.apply(build_config_map(data={"colour": "red", "size": "1"}), manager="beta")
    assert refusal(answer) == (
        409,
        "Conflict",
        'Apply failed with 1 conflict: conflict with "alpha": .data.colour',
    )
    assert answer.json()["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "alpha"',
            "field": ".data.colour",
        }
    ]
    assert version(place.read(build_config_map())) == version(first)


def test_every_conflicting_field_is_named(place: Place) -> None:
    succeed(place.apply(build_deployment(container=build_container(image="a:1"))))
    other = build_deployment(replicas=2, container=build_container(image="b:1"))
    answer = place.apply(other, manager="beta")
    assert causes(answer) == [
        ("FieldManagerConflict", ".spec.replicas"),
        ("FieldManagerConflict", '.spec.template.spec.containers[name="web"].image'),
    ]
    assert refusal(answer)[2] == (
        'Apply failed with 2 conflicts: conflicts with "alpha":\n- .spec.replicas\n'
        '- .spec.template.spec.containers[name="web"].image'
    )


def test_conflicts_with_several_managers_are_told_apart(place: Place) -> None:
    succeed(place.apply(build_config_map(data={"a": "1"})))
    succeed(place.apply(build_config_map(data={"b": "1"}), manager="beta"))
    answer = place.apply(build_config_map(data={"a": "2", "b": "2"}), manager="gamma")
    assert refusal(answer)[2] == (
        'Apply failed with 2 conflicts: conflicts with "alpha":\n- .data.a\n'
        'conflicts with "beta":\n- .data.b'
    )


def test_an_empty_map_is_a_field_like_any_other(place: Place) -> None:
    manifest = build_config_map()
    manifest["metadata"]["labels"] = {}
    first = succeed(place.apply(manifest))
    assert "labels" not in first["metadata"]
    assert version(succeed(place.apply(manifest))) == version(first)
    answer = place.apply(manifest, manager="beta")
    assert causes(answer) == [("FieldManagerConflict", ".metadata.labels")]


def test_the_same_value_is_no_conflict(place: Place) -> None:
    succeed(place.apply(build_config_map()))
    body = succeed(place.apply(build_config_map(), manager="beta"))
    assert owned(body, "alpha") == owned(body, "beta") == {"f:data": {"f:colour": {}}}


def test_force_takes_the_field_over(place: Place) -> None:
    succeed(place.apply(build_config_map()))
    red = build_config_map(data={"colour": "red"})
    body = succeed(place.apply(red, manager="beta", force="true"))
    assert body["data"] == {"colour": "red"}
    assert owned(body, "alpha") is None
    assert owned(body, "beta") == {"f:data": {"f:colour": {}}}
    assert refusal(place.apply(build_config_map()))[0] == 409


def with_uid(manifest: Manifest, uid: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "uid": uid}}


def managers(body: Any) -> set[tuple[str, str]]:
    return {(each["manager"], each["operation"]) for each in body["metadata"]["managedFields"]}


@pytest.mark.case("K14")
def test_a_refused_apply_leaves_no_trace_of_its_manager(place: Place) -> None:
    succeed(place.apply(build_config_map()))
    assert not place.apply(build_config_map(data={"colour": "red"}), manager="beta").ok
    assert managers(place.read(build_config_map())) == {("alpha", "Apply")}


@pytest.mark.case("K14")
def test_a_manager_that_has_lost_its_last_field_leaves_no_trace(place: Place) -> None:
    first = build_config_map(data={"colour": "blue", "size": "1"})
    succeed(place.apply(first))
    one = succeed(place.merge(first, {"data": {"colour": "red"}}, fieldManager="kubectl-edit"))
    assert managers(one) == {("alpha", "Apply"), ("kubectl-edit", "Update")}
    both = succeed(place.merge(first, {"data": {"size": "2"}}, fieldManager="kubectl-edit"))
    assert managers(both) == {("kubectl-edit", "Update")}


@pytest.mark.case("K14")
@pytest.mark.parametrize("holder", ["an apply", "an update"])
def test_force_for_one_very_object_takes_the_field_over(place: Place, holder: str) -> None:
    uid = succeed(place.apply(build_config_map()))["metadata"]["uid"]
    red, blue = build_config_map(data={"colour": "red"}), build_config_map()
    if holder == "an apply":
        succeed(place.apply(red, manager="kubectl", force="true"))
    else:
        succeed(place.merge(red, {"data": red["data"]}, fieldManager="kubectl-edit"))
    assert refusal(place.apply(blue))[0] == 409
    body = succeed(place.apply(with_uid(blue, uid), force="true", fieldValidation="Strict"))
    assert (body["data"], body["metadata"]["uid"]) == (blue["data"], uid)
    assert owned(body, "alpha") == {"f:data": {"f:colour": {}}}


@pytest.mark.case("K14")
def test_force_for_another_object_of_that_name_is_422_and_changes_nothing(place: Place) -> None:
    first = succeed(place.apply(build_config_map()))
    succeed(place.delete(build_config_map()))
    second = succeed(place.apply(build_config_map(), manager="beta"))
    red = with_uid(build_config_map(data={"colour": "red"}), first["metadata"]["uid"])
    answer = place.apply(red, force="true")
    assert refusal(answer)[:2] == (422, "Invalid")
    assert causes(answer)[0] == ("FieldValueInvalid", "metadata.uid")
    assert version(place.read(build_config_map())) == version(second)


@pytest.mark.case("K14")
def test_force_for_an_object_that_is_gone_creates_none(place: Place) -> None:
    first = succeed(place.apply(build_config_map()))
    succeed(place.delete(build_config_map()))
    gone = with_uid(build_config_map(), first["metadata"]["uid"])
    why = f"specified uid {first['metadata']['uid']}, and no existing object was found"
    message = f'on configmaps "settings": uid mismatch: the provided object {why}'
    assert refusal(place.apply(gone, force="true")) == (
        409,
        "Conflict",
        f"Operation cannot be fulfilled {message}",
    )
    assert place.get(build_config_map()).status_code == 404


def test_a_plain_update_takes_a_field_too(place: Place) -> None:
    succeed(place.apply(build_config_map()))
    succeed(place.merge(build_config_map(), {"data": {"colour": "red"}}, fieldManager="gamma"))
    code, _, message = refusal(place.apply(build_config_map()))
    assert (code, 'conflict with "gamma" using v1' in message) == (409, True)
    assert place.read(build_config_map())["data"] == {"colour": "red"}


def test_an_apply_after_a_create_adds_to_it(place: Place) -> None:
    succeed(place.create(build_config_map(data={"colour": "blue", "size": "1"})))
    body = succeed(place.apply(build_config_map(data={"colour": "blue"})))
    assert body["data"] == {"colour": "blue", "size": "1"}


def test_the_field_manager_is_required(place: Place) -> None:
    answer = place.apply(build_config_map(), fieldManager=None)
    assert refusal(answer)[:2] == (422, "Invalid")
    assert causes(answer) == [("FieldValueRequired", "fieldManager")]


def test_yaml_may_be_applied(place: Place) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: blue}\n"
    path = place.path(build_config_map())
    answer = place.server.call(
        "PATCH", path, text, content_type="application/apply-patch+yaml", fieldManager="alpha"
    )
    assert (answer.status_code, answer.json()["data"]) == (201, {"colour": "blue"})


def test_what_is_not_yaml_is_400(place: Place) -> None:
    path = place.path(build_config_map())
    answer = place.server.call(
        "PATCH", path, b"{a: [", content_type="application/apply-patch+yaml", fieldManager="alpha"
    )
    assert refusal(answer)[:2] == (400, "BadRequest")


@pytest.mark.parametrize("validation", ["Strict", "Warn"])
def test_an_unknown_field_is_a_500(place: Place, validation: str) -> None:
    answer = place.apply(build_config_map() | {"spoc": 1}, fieldValidation=validation)
    code, reason, message = refusal(answer)
    assert (code, reason) == (500, "")
    assert message.startswith("failed to create typed patch object (")
    assert message.endswith("; /v1, Kind=ConfigMap): .spoc: field not declared in schema")


def test_an_unknown_field_inside_a_list_is_named_by_its_key(place: Place) -> None:
    manifest = build_deployment(container=build_container(imagine="x"))
    code, _, message = refusal(place.apply(manifest, fieldValidation="Strict"))
    field = '.spec.template.spec.containers[name="web"].imagine'
    assert (code, message.endswith(f"{field}: field not declared in schema")) == (500, True)


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        (
            build_deployment(replicas="1"),  # type: ignore[arg-type]  # what is tested
            ".spec.replicas: expected numeric (int or float), got string",
        ),
        (
            build_deployment(pod={"containers": [build_container(), build_container()]}),
            '.spec.template.spec.containers: duplicate entries for key [name="web"]',
        ),
        (build_deployment() | {"spec": []}, ".spec: expected map, got "),
        (
            build_deployment(pod={"containers": {}}),
            ".spec.template.spec.containers: expected list, got ",
        ),
    ],
)
def test_a_value_of_another_type_is_a_500(place: Place, manifest: Manifest, text: str) -> None:
    code, _, message = refusal(place.apply(manifest))
    assert code == 500
    assert text in message


def test_a_body_of_another_kind_is_400(place: Place) -> None:
    answer = place.server.apply(place.path(build_config_map()), build_config_map() | {"kind": "X"})
    assert refusal(answer) == (400, "BadRequest", "invalid object type: /v1, Kind=X")


def test_an_invalid_object_is_422(place: Place) -> None:
    answer = place.apply(build_deployment(replicas=-1))
    assert refusal(answer)[:2] == (422, "Invalid")
    assert causes(answer) == [("FieldValueInvalid", "spec.replicas")]


def test_a_selector_cannot_be_applied_anew(place: Place) -> None:
    succeed(place.apply(build_deployment()))
    changed = build_deployment()
    labels = {"app": "other"}
    changed["spec"]["selector"] = {"matchLabels": labels}
    changed["spec"]["template"]["metadata"] = {"labels": labels}
    answer = place.apply(changed)
    assert refusal(answer)[:2] == (422, "Invalid")
    assert causes(answer) == [("FieldValueInvalid", "spec.selector")]


def test_an_older_version_in_the_configuration_is_409(place: Place) -> None:
    first = succeed(place.apply(build_config_map()))
    succeed(place.apply(build_config_map(data={"colour": "red"})))
    manifest = build_config_map()
    manifest["metadata"]["resourceVersion"] = version(first)
    assert refusal(place.apply(manifest))[:2] == (409, "Conflict")


def test_containers_merge_by_name(place: Place) -> None:
    succeed(place.apply(build_deployment()))
    sidecar = build_deployment(container=build_container("side", "side:1"))
    body = succeed(place.apply(sidecar, manager="beta"))
    containers = body["spec"]["template"]["spec"]["containers"]
    assert sorted(item["name"] for item in containers) == ["side", "web"]
    only = succeed(place.apply(build_deployment()))
    assert len(only["spec"]["template"]["spec"]["containers"]) == 2


def test_a_container_that_is_no_longer_applied_is_removed(place: Place) -> None:
    both = [build_container(), build_container("side", env=[{"name": "A", "value": "1"}])]
    succeed(place.apply(build_deployment(pod={"containers": both})))
    body = succeed(place.apply(build_deployment()))
    assert [item["name"] for item in body["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_environment_merges_by_name(place: Place) -> None:
    def with_env(**values: str) -> Manifest:
        env = [{"name": name, "value": value} for name, value in values.items()]
        return build_deployment(container=build_container(env=env))

    succeed(place.apply(with_env(A="1", B="2")))
    succeed(place.apply(with_env(C="3"), manager="beta"))
    body = succeed(place.apply(with_env(B="4")))
    env = {item["name"]: item["value"] for item in container_of(body)["env"]}
    assert env == {"B": "4", "C": "3"}
    answer = place.apply(with_env(B="5"), manager="beta")
    path = '.spec.template.spec.containers[name="web"].env[name="B"].value'
    assert causes(answer) == [("FieldManagerConflict", path)]


def test_container_ports_merge_by_number_and_protocol(place: Place) -> None:
    def with_ports(*ports: Manifest) -> Manifest:
        return build_deployment(container=build_container(ports=list(ports)))

    succeed(place.apply(with_ports({"containerPort": 53}, {"containerPort": 80})))
    both = with_ports({"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53})
    body = succeed(place.apply(both))
    found = [(port["containerPort"], port["protocol"]) for port in container_of(body)["ports"]]
    assert sorted(found) == [(53, "TCP"), (53, "UDP")]


def test_service_ports_merge_by_number_and_protocol(place: Place) -> None:
    def with_ports(*numbers: int) -> Manifest:
        return build_service(ports=[{"name": f"p{one}", "port": one} for one in numbers])

    succeed(place.apply(with_ports(80, 81)))
    body = succeed(place.apply(with_ports(81, 82)))
    assert sorted(port["port"] for port in body["spec"]["ports"]) == [81, 82]


def test_items_stand_in_the_order_in_which_they_are_applied(place: Place) -> None:
    def with_ports(*numbers: int) -> Manifest:
        return build_service(ports=[{"name": f"p{one}", "port": one} for one in numbers])

    succeed(place.apply(with_ports(80, 81)))
    body = succeed(place.apply(with_ports(82, 81, 80), manager="beta"))
    assert [port["port"] for port in body["spec"]["ports"]] == [82, 81, 80]


def test_an_item_goes_with_its_only_owner_and_takes_what_others_set_in_it(place: Place) -> None:
    both = [build_container(), build_container("side")]
    succeed(place.apply(build_deployment(pod={"containers": both})))
    changed = [build_container(), build_container("side", args=["x"])]
    patch = {"spec": {"template": {"spec": {"containers": changed}}}}
    succeed(place.merge(build_deployment(), patch, fieldManager="gamma"))
    body = succeed(place.apply(build_deployment()))
    assert [item["name"] for item in body["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_another_spelling_of_a_quantity_is_another_value_to_another_manager(place: Place) -> None:
    succeed(place.apply(build_quota(requests__cpu="1")))
    answer = place.apply(build_quota(requests__cpu="1000m"), manager="beta")
    assert causes(answer) == [("FieldManagerConflict", ".spec.hard.requests.cpu")]


def test_what_a_controller_has_written_is_its_own(place: Place) -> None:
    answer = place.apply(build_config_map("kube-root-ca.crt", {"ca.crt": "mine"}))
    assert refusal(answer)[2] == (
        'Apply failed with 1 conflict: conflict with "kube-controller-manager" using v1:'
        " .data.ca.crt"
    )


def test_a_struct_of_defaults_does_not_fit_every_type(place: Place) -> None:
    succeed(place.apply(build_deployment()))
    answer = place.apply(build_deployment(strategy={"type": "Recreate"}))
    assert causes(answer) == [("FieldValueForbidden", "spec.strategy.rollingUpdate")]


@pytest.mark.case("K1")
@pytest.mark.parametrize(
    "rolling", [None, {}, {"maxSurge": None, "maxUnavailable": None}], ids=["null", "{}", "nulls"]
)
def test_a_defaulted_struct_is_not_taken_away_by_naming_it(place: Place, rolling: Any) -> None:
    succeed(place.apply(build_deployment()))
    strategy = {"type": "Recreate", "rollingUpdate": rolling}
    answer = place.apply(build_deployment(strategy=strategy))
    assert causes(answer) == [("FieldValueForbidden", "spec.strategy.rollingUpdate")]


@pytest.mark.case("K1")
@pytest.mark.parametrize(
    "strategy",
    [
        {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        {"rollingUpdate": {"maxSurge": 0}},
        {"rollingUpdate": {"maxUnavailable": "100%"}},
    ],
)
def test_a_live_deployment_takes_other_bounds_and_then_another_type(
    place: Place, strategy: Manifest
) -> None:
    succeed(place.apply(build_deployment()))
    body = succeed(place.apply(build_deployment(strategy=strategy)))
    taken = body["spec"]["strategy"]
    assert strategy["rollingUpdate"].items() <= taken["rollingUpdate"].items()
    assert taken["type"] == "RollingUpdate"
    body = succeed(place.apply(build_deployment(strategy={"type": "Recreate"})))
    assert body["spec"]["strategy"] == {"type": "Recreate"}
    body = succeed(place.apply(build_deployment(strategy=strategy | {"type": "RollingUpdate"})))
    assert body["spec"]["strategy"]["type"] == "RollingUpdate"


def test_a_list_without_keys_is_replaced_as_a_whole(place: Place) -> None:
    succeed(place.apply(build_deployment(container=build_container(args=["a", "b"]))))
    body = succeed(place.apply(build_deployment(container=build_container(args=["c"]))))
    assert container_of(body)["args"] == ["c"]
    other = build_deployment(container=build_container(args=["d"]))
    path = '.spec.template.spec.containers[name="web"].args'
    assert causes(place.apply(other, manager="beta")) == [("FieldManagerConflict", path)]


def test_a_struct_that_is_no_longer_applied_takes_its_defaults_with_it(place: Place) -> None:
    probe = {"httpGet": {"port": 80}}
    succeed(place.apply(build_deployment(container=build_container(livenessProbe=probe))))
    body = succeed(place.apply(build_deployment()))
    assert "livenessProbe" not in container_of(body)


def test_a_scaled_deployment_conflicts_with_its_author(place: Place) -> None:
    succeed(place.apply(build_deployment()))
    succeed(place.merge(build_deployment(), {"spec": {"replicas": 2}}, fieldManager="scaler"))
    answer = place.apply(build_deployment())
    assert causes(answer) == [("FieldManagerConflict", ".spec.replicas")]
    without = build_deployment()
    del without["spec"]["replicas"]
    assert succeed(place.apply(without))["spec"]["replicas"] == 2


def test_a_replaced_image_is_a_new_generation(place: Place) -> None:
    first = succeed(place.apply(build_deployment()))
    assert first["metadata"]["generation"] == 1
    changed = build_deployment(container=build_container(image="other:1"))
    assert succeed(place.apply(changed))["metadata"]["generation"] == 2
    assert succeed(place.apply(changed))["metadata"]["generation"] == 2


def test_a_removed_key_of_a_quota_is_gone(place: Place) -> None:
    succeed(place.apply(build_quota(pods="3", services="2")))
    body = succeed(place.apply(build_quota(pods="3")))
    assert body["spec"]["hard"] == {"pods": "3"}


def test_a_custom_resource_is_applied_like_any_other(traefik_place: Place) -> None:
    assert traefik_place.apply(build_ingress_route()).status_code == 201
    changed = build_ingress_route(host="other.example.net")
    answer = traefik_place.apply(changed)
    assert (answer.status_code, answer.json()["metadata"]["generation"]) == (200, 2)
    assert answer.json()["spec"] == changed["spec"]
    conflict = traefik_place.apply(build_ingress_route(), manager="beta")
    assert causes(conflict) == [("FieldManagerConflict", ".spec.routes")]
    assert succeed(traefik_place.apply(build_ingress_route(), manager="beta", force="true"))
