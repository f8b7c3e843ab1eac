"""The scan finds what no role may have, and nothing in what is deployed."""

from typing import Any

import pytest

from infra.policy_scan import scan


def create_template(statement: dict[str, Any], **role: Any) -> dict[str, Any]:
    document = {"Statement": [{"Sid": "S", "Effect": "Allow", **statement}]}
    properties = {"Policies": [{"PolicyDocument": document}], **role}
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


@pytest.mark.parametrize(
    "statement",
    [
        {**GOOD, "Action": "*"},
        {**GOOD, "Action": ["dynamodb:*"]},
        {**GOOD, "Action": ["s3:Get*"]},
        {**GOOD, "Action": ["sts:AssumeRole"]},
        {**GOOD, "Action": ["lambda:UpdateFunctionCode"]},
        {**GOOD, "Action": ["secretsmanager:PutSecretValue"]},
        {**GOOD, "Resource": "*"},
        {**GOOD, "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:s3:::*"}]},
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
