"""How namespaces begin, and how they end."""

from tests.contract.cluster.builders import build_config_map, build_name, build_namespace
from tests.contract.cluster.target import Place, Server, eventually, refusal, succeed
from tests.contract.conftest import MakePlace


def path_of(name: str) -> str:
    """Return a namespace's path."""
    return f"/api/v1/namespaces/{name}"


def test_a_namespace_is_active_and_labelled_with_its_name(place: Place) -> None:
    body = succeed(place.server.call("GET", path_of(place.name)))
    assert body["status"] == {"phase": "Active"}
    assert body["metadata"]["labels"] == {"kubernetes.io/metadata.name": place.name}
    assert body["spec"]["finalizers"] == ["kubernetes"]


def test_a_namespace_is_given_an_account_and_the_authority(place: Place) -> None:
    eventually(lambda: [item["metadata"]["name"] for item in place.list("serviceaccounts")])
    found = eventually(lambda: place.list("configmaps"))
    assert [item["metadata"]["name"] for item in found] == ["kube-root-ca.crt"]


def test_an_account_that_was_applied_first_is_kept(server: Server, make_place: MakePlace) -> None:
    name = build_name("contract")
    make_place.names.append(name)
    succeed(server.call("POST", "/api/v1/namespaces", build_namespace(name)))
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default"},
        "automountServiceAccountToken": False,
    }
    place = Place(server, name)
    succeed(place.apply(account, force="true"))
    eventually(lambda: place.list("configmaps"))
    assert place.read(account)["automountServiceAccountToken"] is False


def test_a_namespace_is_applied(server: Server, make_place: MakePlace) -> None:
    manifest = build_namespace(build_name("contract"), enforce="restricted")
    name = manifest["metadata"]["name"]
    make_place.names.append(name)
    first = server.apply(path_of(name), manifest)
    assert first.status_code == 201
    again = server.apply(path_of(name), manifest)
    assert again.status_code == 200
    versions = [one.json()["metadata"]["resourceVersion"] for one in (first, again)]
    assert versions[0] == versions[1]
    bare = succeed(server.apply(path_of(name), build_namespace(name)))
    assert bare["metadata"]["labels"] == {"kubernetes.io/metadata.name": name}


def test_a_second_namespace_of_one_name_is_409(place: Place) -> None:
    answer = place.server.call("POST", "/api/v1/namespaces", build_namespace(place.name))
    message = f'namespaces "{place.name}" already exists'
    assert refusal(answer) == (409, "AlreadyExists", message)


def test_a_namespace_needs_a_label_for_a_name(server: Server) -> None:
    answer = server.call("POST", "/api/v1/namespaces", build_namespace("Not_A_Name"))
    assert refusal(answer)[:2] == (422, "Invalid")


def test_a_deleted_namespace_terminates_then_is_gone(place: Place) -> None:
    succeed(place.create(build_config_map()))
    answer = succeed(place.server.call("DELETE", path_of(place.name)))
    assert answer["status"]["phase"] == "Terminating"
    assert "deletionTimestamp" in answer["metadata"]
    seen = place.server.call("GET", path_of(place.name))
    assert seen.status_code == 404 or seen.json()["status"]["phase"] == "Terminating"
    eventually(lambda: place.server.call("GET", path_of(place.name)).status_code == 404)
    assert place.get(build_config_map()).status_code == 404


def test_nothing_new_is_let_into_a_terminating_namespace(place: Place) -> None:
    succeed(place.server.call("DELETE", path_of(place.name)))
    for answer in (place.create(build_config_map("late")), place.apply(build_config_map("late"))):
        code, reason, message = refusal(answer)
        assert (code, reason) == (403, "Forbidden")
        assert "because it is being terminated" in message
        assert answer.json()["details"]["causes"] == [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {place.name} is being terminated",
                "field": "metadata.namespace",
            }
        ]


def test_a_terminating_namespace_is_not_made_again(place: Place) -> None:
    succeed(place.server.call("DELETE", path_of(place.name)))
    answer = place.server.call("POST", "/api/v1/namespaces", build_namespace(place.name))
    message = f'object is being deleted: namespaces "{place.name}" already exists'
    assert refusal(answer) == (409, "AlreadyExists", message)


def test_a_terminating_namespace_may_be_deleted_again(place: Place) -> None:
    for _ in range(2):
        body = succeed(place.server.call("DELETE", path_of(place.name)))
        assert body["status"]["phase"] == "Terminating"


def test_a_namespace_of_the_same_name_is_another_one(place: Place) -> None:
    before = succeed(place.server.call("GET", path_of(place.name)))["metadata"]["uid"]
    succeed(place.server.call("DELETE", path_of(place.name)))
    eventually(lambda: place.server.call("GET", path_of(place.name)).status_code == 404)
    body = succeed(place.server.call("POST", "/api/v1/namespaces", build_namespace(place.name)))
    assert body["metadata"]["uid"] != before


def test_a_namespace_that_is_not_there_is_404(server: Server) -> None:
    for method in ("GET", "DELETE"):
        answer = server.call(method, path_of("contract-nowhere"))
        assert refusal(answer) == (404, "NotFound", 'namespaces "contract-nowhere" not found')
