"""Our clients send what botocore's own would send, to the same place, in every partition."""

import re
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from chalicelib.gateways.aws import CLIENT_CONFIG, AwsClients

REGIONS = (
    "us-east-1",
    "us-west-2",
    "eu-central-2",
    "ap-southeast-5",
    "cn-north-1",
    "us-gov-west-1",
)
CALLS: dict[str, Callable[[Any], object]] = {
    "dynamodb": lambda client: client.get_item(TableName="t", Key={"pk": {"S": "x"}}),
    "s3": lambda client: client.put_object(Bucket="workspace", Key="friends/a", Body=b"x"),
    "lambda": lambda client: client.invoke(FunctionName="f", InvocationType="Event", Payload=b"1"),
    "secretsmanager": lambda client: client.get_secret_value(SecretId="friends/x"),
}
VARYING = re.compile(r"Signature=\w+|/\d{8}/")


class _Sent(Exception):
    """The request, as it would leave."""


def stop(request: AWSPreparedRequest, **_: object) -> None:
    authorization = VARYING.sub("", str(request.headers["Authorization"]))
    raise _Sent(request.method, request.url, authorization)


def capture(client: BaseClient, call: Callable[[Any], object]) -> tuple[object, ...]:
    """Return what would be sent."""
    client.meta.events.register_first("before-send", stop)
    with pytest.raises(_Sent) as caught:
        call(client)
    return caught.value.args


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("service", CALLS)
def test_a_request_is_signed_for_and_sent_to_where_botocore_would(
    monkeypatch: pytest.MonkeyPatch, region: str, service: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    attribute = "lambda_" if service == "lambda" else service
    ours = getattr(AwsClients(), attribute)._client  # noqa: SLF001 - beneath the seam
    make: Any = boto3.client
    theirs = make(service, config=CLIENT_CONFIG)
    assert capture(ours, CALLS[service]) == capture(theirs, CALLS[service])


def test_a_local_endpoint_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    ours = AwsClients().dynamodb._client  # type: ignore[attr-defined]  # noqa: SLF001 - beneath the seam
    assert capture(ours, CALLS["dynamodb"])[1] == "http://127.0.0.1:4566/"


def test_the_errors_of_a_service_are_known_by_name(aws: None) -> None:
    with pytest.raises(ClientError):
        AwsClients().secretsmanager.get_secret_value(SecretId="none")
