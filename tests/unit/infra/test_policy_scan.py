"""The scan finds what no role may have, and nothing in what is deployed."""

from typing import Any

import pytest

from infra.policy_scan import scan


def create_template(statement: dict[str, Any], **role: Any) -> dict[str, Any]:
    document = {"Statement": [{"Sid": "S", "Effect": "Allow", **statement}]}
    trust = {"Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}}]}
    properties = {
        "AssumeRolePolicyDocument": trust,
        "Policies": [{"PolicyDocument": document}],
        **role,
    }
    function = {"Role": {"Fn::GetAtt": ["Role", "Arn"]}}
    return {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": properties},
            "Function": {"Type": "AWS::Serverless::Function", "Properties": function},
        }
    }


GOOD = {"Action": ["dynamodb:GetItem"], "Resource": [{"Fn::GetAtt": ["Table", "Arn"]}]}


def test_a_narrow_role_is_well() -> None:
    assert list(scan(create_template(GOOD))) == []


def test_a_secrets_random_characters_name_one_secret() -> None:
    secret = {"Fn::Sub": "arn:${AWS::Partition}:secretsmanager:r:a:secret:friends/tokens-??????"}
    assert list(scan(create_template({**GOOD, "Resource": [secret]}))) == []


@pytest.mark.parametrize(
    "statement",
    [
        {**GOOD, "Action": "*"},
        {**GOOD, "Action": ["dynamodb:*"]},
        {**GOOD, "Action": ["s3:Get*"]},
        {**GOOD, "Action": ["sts:AssumeRole"]},
        {**GOOD, "Action": ["lambda:UpdateFunctionCode"]},
        {**GOOD, "Action": ["secretsmanager:PutSecretValue"]},
        {**GOOD, "Action": ["IAM:PassRole"]},
        {**GOOD, "Action": ["Lambda:updateFunctionCode"]},
        {**GOOD, "Resource": "*"},
        {**GOOD, "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:s3:::*"}]},
        {**GOOD, "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:secretsmanager:r:a:secret:*-*"}]},
        {**GOOD, "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:dynamodb:r:a:table/*"}]},
        {**GOOD, "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:secretsmanager:r:a:secret:??*"}]},
        {**GOOD, "Resource": [{"Fn::Sub": "${WorkspaceBucket.Arn}/*"}]},
        {**GOOD, "Resource": [{"Ref": "Wildcard"}]},
        {**GOOD, "Resource": [{"Fn::If": ["IsProd", "*", "*"]}]},
        {**GOOD, "Resource": [{"Fn::Join": ["", ["*"]]}]},
        {**GOOD, "NotAction": ["s3:GetObject"]},
    ],
)
def test_what_is_too_wide_is_found(statement: dict[str, Any]) -> None:
    (fault,) = scan(create_template(statement))
    assert fault.startswith("Role, S: ")


def test_a_role_of_two_functions_is_found() -> None:
    template = create_template(GOOD)
    template["Resources"]["Other"] = template["Resources"]["Function"]
    assert list(scan(template)) == [
        "Function shares its role Role.",
        "Other shares its role Role.",
    ]


def test_a_managed_policy_is_found() -> None:
    (fault,) = scan(create_template(GOOD, ManagedPolicyArns=["arn:aws:iam::aws:policy/X"]))
    assert "managed policy" in fault


@pytest.mark.parametrize("kind", ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::User"])
def test_permissions_outside_of_the_roles_are_found(kind: str) -> None:
    template = create_template(GOOD)
    template["Resources"]["Other"] = {"Type": kind, "Properties": {}}
    (fault,) = scan(template)
    assert fault.startswith(f"Other is a {kind}")


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"Service": "ec2.amazonaws.com"}])
def test_a_role_that_others_can_assume_is_found(principal: Any) -> None:
    trust = {"Statement": [{"Principal": principal}]}
    (fault,) = scan(create_template(GOOD, AssumeRolePolicyDocument=trust))
    assert "assumed by others" in fault


def test_a_way_past_the_gateway_is_found() -> None:
    template = create_template(GOOD)
    template["Resources"]["Function"]["Properties"]["FunctionUrlConfig"] = {"AuthType": "NONE"}
    (fault,) = scan(template)
    assert "URL of its own" in fault


def test_a_template_without_functions_is_not_taken_for_a_safe_one() -> None:
    (fault,) = scan({"Resources": {}})
    assert "no function" in fault
