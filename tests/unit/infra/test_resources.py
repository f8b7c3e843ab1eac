"""What infra/resources.yaml has API Gateway do by itself, and how it protects what is kept."""

import json
from typing import Any

import pytest
import yaml

from chalicelib.routes.description.document import describe
from infra.paths import RESOURCES, ROOT

_ALARM = "AWS::CloudWatch::Alarm"


@pytest.fixture
def resources() -> Any:
    """All of them, by name."""
    return yaml.safe_load(RESOURCES.read_text())["Resources"]


@pytest.fixture
def rest_api(resources: Any) -> Any:
    """The properties that are merged into Chalice's RestAPI."""
    return resources["RestAPI"]["Properties"]


@pytest.fixture
def parameters() -> Any:
    """The stack's parameters, by name."""
    return yaml.safe_load(RESOURCES.read_text())["Parameters"]


@pytest.mark.case("M7")
def test_i07_whoever_guesses_is_slowed_down_at_the_gateway(rest_api: Any, parameters: Any) -> None:
    (settings,) = rest_api["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    rate, burst = (settings[f"Throttling{each}Limit"]["Ref"] for each in ("Rate", "Burst"))
    assert 0 < parameters[rate]["Default"] <= 100
    assert 0 < parameters[burst]["Default"] <= 200
    told = gateway_response(rest_api, "THROTTLED")
    assert (told["statusCode"], body_of(told)["code"]) == ("429", "gateway_throttled")
    assert told["responseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"


@pytest.mark.case("M6")
@pytest.mark.parametrize(
    ("function", "parameter", "bounds"),
    [
        ("Reconcile", "ReconcileConcurrency", range(2, 5)),
        ("RunOperation", "WorkerConcurrency", range(1, 11)),
    ],
)
def test_so_many_of_a_function_run_at_once_and_the_rest_waits(
    resources: Any, parameters: Any, function: str, parameter: str, bounds: range
) -> None:
    _, reserved, nothing = resources[function]["Properties"]["ReservedConcurrentExecutions"][
        "Fn::If"
    ]
    assert (reserved, nothing) == ({"Ref": parameter}, {"Ref": "AWS::NoValue"})
    assert parameters[parameter]["Default"] in bounds
    # An event that finds no execution free is kept, and tried again until it is too old.
    assert resources[f"{function}Invokes"]["Properties"]["MaximumEventAgeInSeconds"] >= 900


@pytest.mark.case("M7")
def test_refusals_in_great_number_raise_an_alarm(resources: Any) -> None:
    alarm = resources["ApiRefusalsAlarm"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ApiGateway", "4XXError")
    assert alarm["Dimensions"] == [{"Name": "ApiName", "Value": "friends-api"}]


@pytest.mark.case("M7")
def test_a_firewall_that_counts_by_address_is_an_option(resources: Any, parameters: Any) -> None:
    assert parameters["WafRequestsPerFiveMinutes"]["Default"] == 0
    acl, association = resources["WebAcl"], resources["WebAclAssociation"]
    assert acl["Condition"] == association["Condition"] == "HasWaf"
    (rule,) = acl["Properties"]["Rules"]
    rate = rule["Statement"]["RateBasedStatement"]
    assert (rate["AggregateKeyType"], rate["EvaluationWindowSec"]) == ("IP", 300)
    assert rate["Limit"] == {"Ref": "WafRequestsPerFiveMinutes"}
    assert rule["Action"] == {"Block": {}}


@pytest.mark.case("M7")
def test_long_answers_are_compressed(rest_api: Any) -> None:
    assert 0 < rest_api["MinimumCompressionSize"] <= 10_240


def test_every_alarm_is_in_the_runbook(resources: Any) -> None:
    text = (ROOT / "docs/operations.md").read_text()
    alarms = [name for name, each in resources.items() if each.get("Type") == _ALARM]
    assert [name for name in alarms if f"`{name}`" not in text] == []


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
