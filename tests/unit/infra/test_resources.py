"""What infra/resources.yaml has API Gateway do before the app is asked at all."""

import json
from typing import Any

import pytest
import yaml

from infra.paths import RESOURCES


@pytest.fixture
def rest_api() -> Any:
    """The properties that are merged into Chalice's RestAPI."""
    resources = yaml.safe_load(RESOURCES.read_text())["Resources"]
    return resources["RestAPI"]["Properties"]


def test_i07_whoever_guesses_is_slowed_down_at_the_gateway(rest_api: Any) -> None:
    (settings,) = rest_api["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert 0 < settings["ThrottlingRateLimit"] <= 100
    assert 0 < settings["ThrottlingBurstLimit"] <= 200
    told = gateway_response(rest_api, "THROTTLED")
    assert (told["statusCode"], body_of(told)["code"]) == ("429", "too_many_requests")
    assert told["responseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"


def test_d09_what_has_no_route_is_404_in_our_words(rest_api: Any) -> None:
    told = gateway_response(rest_api, "MISSING_AUTHENTICATION_TOKEN")
    assert (told["statusCode"], body_of(told)["code"]) == ("404", "route_not_found")


def gateway_response(rest_api: Any, name: str) -> Any:
    return rest_api["DefinitionBody"]["x-amazon-apigateway-gateway-responses"][name]


def body_of(response: Any) -> Any:
    body = json.loads(response["responseTemplates"]["application/json"])
    assert body.keys() == {"error", "code", "details", "request_id"}
    return body
