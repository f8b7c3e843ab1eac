"""What infra/resources.yaml has API Gateway do by itself, and how it protects what is kept."""

import json
from typing import Any

import pytest
import yaml

from chalicelib.routes.description.document import describe
from infra.paths import RESOURCES


@pytest.fixture
def resources() -> Any:
    """All of them, by name."""
    return yaml.safe_load(RESOURCES.read_text())["Resources"]


@pytest.fixture
def rest_api(resources: Any) -> Any:
    """The properties that are merged into Chalice's RestAPI."""
    return resources["RestAPI"]["Properties"]


def test_i07_whoever_guesses_is_slowed_down_at_the_gateway(rest_api: Any) -> None:
    (settings,) = rest_api["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert 0 < settings["ThrottlingRateLimit"] <= 100
    assert 0 < settings["ThrottlingBurstLimit"] <= 200
    told = gateway_response(rest_api, "THROTTLED")
    assert (told["statusCode"], body_of(told)["code"]) == ("429", "gateway_throttled")
    assert told["responseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"


def test_what_the_gateway_says_by_itself_is_described(rest_api: Any) -> None:
    names = rest_api["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
    codes = {body_of(gateway_response(rest_api, name))["code"] for name in names}
    text = json.dumps(describe())
    assert {code for code in codes if code not in text} == set()


def test_d09_what_has_no_route_is_404_in_our_words(rest_api: Any) -> None:
    told = gateway_response(rest_api, "MISSING_AUTHENTICATION_TOKEN")
    assert (told["statusCode"], body_of(told)["code"]) == ("404", "route_not_found")


def gateway_response(rest_api: Any, name: str) -> Any:
    return rest_api["DefinitionBody"]["x-amazon-apigateway-gateway-responses"][name]


def body_of(response: Any) -> Any:
    body = json.loads(response["responseTemplates"]["application/json"])
    assert body.keys() == {"error", "code", "details", "request_id"}
    return body


@pytest.mark.parametrize("name", ["FriendsTable", "WorkspaceBucket"])
def test_what_is_recorded_outlives_its_stack(resources: Any, name: str) -> None:
    resource = resources[name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_table_is_protected_encrypted_and_can_be_restored(resources: Any) -> None:
    table = resources["FriendsTable"]["Properties"]
    assert table["DeletionProtectionEnabled"] is True
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_the_bucket_is_private_versioned_and_read_over_tls_alone(resources: Any) -> None:
    bucket = resources["WorkspaceBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (statement,) = resources["WorkspaceBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == (
        "Deny",
        "*",
        "s3:*",
    )
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2
