"""The product's own front door for tests: an event in, an answer out, through the real app.

AWS is moto, the cluster is the double; everything between is the product.
"""

import base64
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
import yaml
from chalice.app import Chalice

from chalicelib.bootstrap import wire
from chalicelib.routes import functions
from chalicelib.routes.handler import register
from chalicelib.routes.table import ROUTES
from chalicelib.settings import Settings
from infra.local.cloudflare import CloudflareDouble
from tests import canaries, factories
from tests.described import STAGE, ApiAnswer, require_described
from tests.policies import acting_as

ROOT = Path(__file__).parent.parent
TABLE = "friends"
BUCKET = "workspace"
DOMAIN = "friends.example"
ZONE_ID = "0123456789abcdef0123456789abcdef"
ENVIRONMENT = {
    "TABLE_NAME": TABLE,
    "WORKSPACE_BUCKET": BUCKET,
    "ALLOW_LOOPBACK_CLUSTER": "true",
    "RUN_OPERATION_FUNCTION": "run-operation",
    # Tests send in a second what clients send in an hour.
    "REQUESTS_PER_SECOND": "9999",
}


class LambdaContext:
    """What Lambda tells a handler of its time."""

    def __init__(self, remaining_seconds: float = 29.0) -> None:
        """Remember how much time there is."""
        self.remaining_seconds = remaining_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left."""
        return int(self.remaining_seconds * 1000)


class Clock:
    """Wall-clock time that passes when somebody sleeps, or when a test says so."""

    def __init__(self) -> None:
        """Start at the real time: DynamoDB's items carry it."""
        self.moment = datetime.now(UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the time."""
        return self.moment

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.pass_seconds(seconds)

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


class Api:
    """A client of the app, as API Gateway is."""

    def __init__(self, environment: Mapping[str, str] | None = None, **parts: Any) -> None:
        """Wire a fresh app, as a cold start does; parts replace those of wire()."""
        self.app = Chalice(app_name="friends-api", configure_logs=False)
        self.environment = {**ENVIRONMENT, **(environment or {})}
        settings = Settings.from_env(self.environment)
        self.dependencies = wire(settings, **parts)
        register(self.app, self.dependencies.services)

    def call(  # noqa: PLR0913 - a request has that many parts
        self,
        method: str,
        url: str,
        *,
        json_body: Any = None,
        raw_body: bytes | None = None,
        token: str | None = factories.ADMIN_TOKEN,
        headers: Mapping[str, str | list[str]] | None = None,
        remaining_seconds: float = 29.0,
        source: str = "192.0.2.1",
    ) -> ApiAnswer:
        """Send one request; url is the path with its query, percent-decoded in the path.

        source is the address that API Gateway says it comes from.
        """
        path, _, query = url.partition("?")
        sent: dict[str, list[str]] = {}
        body = raw_body
        if json_body is not None:
            body = json.dumps(json_body).encode()
        if body is not None:
            sent["Content-Type"] = ["application/json"]
        if token is not None:
            sent["Authorization"] = [f"Bearer {token}"]
        for name, value in (headers or {}).items():
            sent[name] = [value] if isinstance(value, str) else value
        event = build_event(method, path, query, sent, body)
        event["requestContext"]["identity"] = {"sourceIp": source}
        with acting_as("api_handler"):
            answer = to_answer(self.app(event, LambdaContext(remaining_seconds)))
        canaries.search_answer(
            f"{method} {event['resource']}", answer.status, answer.headers, answer.text
        )
        require_described(method, event["resource"], answer)
        return answer

    def get(self, url: str, **options: Any) -> ApiAnswer:
        """GET."""
        return self.call("GET", url, **options)

    def post(self, url: str, body: Any = None, **options: Any) -> ApiAnswer:
        """POST a JSON body."""
        return self.call("POST", url, json_body=body, **options)

    def put(self, url: str, body: Any = None, **options: Any) -> ApiAnswer:
        """PUT a JSON body."""
        return self.call("PUT", url, json_body=body, **options)

    def delete(self, url: str, **options: Any) -> ApiAnswer:
        """DELETE."""
        return self.call("DELETE", url, **options)

    def register_friend(self, friend_id: str = "alice", **fields: Any) -> ApiAnswer:
        """Register a friend who can be told apart, and insist that it worked."""
        options = {"token": fields.pop("token", factories.ADMIN_TOKEN)}
        answer = self.post(
            "/api/friends", factories.create_friend_body(id=friend_id, **fields), **options
        )
        assert answer.status == 201, answer.text
        return answer

    def run_operation(self, event: Any, *, remaining_seconds: float = 300.0) -> Any:
        """Invoke the function of that name, as Lambda does; return what it returns."""
        context = LambdaContext(remaining_seconds)
        with acting_as("run_operation"):
            report = functions.run_operation(self.dependencies.worker, event, context)
        return _to_report("run_operation", report)

    def reconcile(self, event: Any = None, *, remaining_seconds: float = 300.0) -> Any:
        """Invoke the function of that name; without an event, a whole pass."""
        context = LambdaContext(remaining_seconds)
        with acting_as("reconcile"):
            report = functions.reconcile(
                self.dependencies.reconciler, {} if event is None else event, context
            )
        return _to_report("reconcile", report)

    def deliver(self, invocations: list[Any], **options: Any) -> list[Any]:
        """Deliver all asynchronous invocations so far, and what they lead to, once each."""
        reports = []
        while invocations:
            event = invocations.pop(0)
            invoke = self.reconcile if "friends" in event else self.run_operation
            reports.append(invoke(event, **options))
        return reports


def build_event(
    method: str, path: str, query: str, headers: Mapping[str, list[str]], body: bytes | None
) -> dict[str, Any]:
    """Return the event that API Gateway makes of a request to one of the routes."""
    template, parameters = match_route(path)
    text, is_base64 = None, False
    if body is not None:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text, is_base64 = base64.b64encode(body).decode(), True
    return {
        "resource": template,
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in headers.items() if values},
        "multiValueHeaders": dict(headers),
        "multiValueQueryStringParameters": parse_qs(query, keep_blank_values=True) or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": template,
            "httpMethod": method,
            "path": f"{STAGE}{path}",
            "requestId": str(uuid.uuid4()),
            "stage": STAGE.strip("/"),
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


def match_route(path: str) -> tuple[str, dict[str, str]]:
    """Return the route's template and its path parameters, as API Gateway decodes them.

    To it a path with a slash at its end is the same.
    """
    for template in dict.fromkeys(route.path for route in ROUTES):
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
        if match := re.fullmatch(f"{pattern}/?", path, re.DOTALL):
            return template, match.groupdict()
    message = f"no route for {path!r}"
    raise LookupError(message)


def to_answer(response: Mapping[str, Any]) -> ApiAnswer:
    """Return a Lambda proxy response as a client sees it."""
    headers = dict(response["headers"])
    for name, values in response.get("multiValueHeaders", {}).items():
        headers[name] = values[-1]
    return ApiAnswer(response["statusCode"], headers, response["body"])


def _to_report(function: str, report: Any) -> Any:
    """Return what a function returns as Lambda does."""
    text = json.dumps(report)
    canaries.CANARIES.search(f"what {function} returns", text)
    return json.loads(text)


def create_backend(kubeconfig: str) -> None:
    """Make what infra/resources.yaml makes, in the AWS that is current: table, bucket, secrets."""
    create_storage(TABLE, BUCKET)
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(
        Name="friends/api-tokens", SecretString=factories.create_tokens_document()
    )
    secrets.create_secret(Name="friends/kubeconfig/main", SecretString=kubeconfig)


def create_storage(table: str, bucket: str) -> None:
    """Make a stage's table and bucket."""
    create_table(table)
    boto3.client("s3").create_bucket(Bucket=bucket)


def create_table(name: str) -> None:
    """Make a table as infra/resources.yaml makes it, under this name."""
    resources = yaml.safe_load((ROOT / "infra" / "resources.yaml").read_text())["Resources"]
    table = resources["FriendsTable"]["Properties"]
    boto3.client("dynamodb").create_table(
        TableName=name,
        BillingMode=table["BillingMode"],
        AttributeDefinitions=table["AttributeDefinitions"],
        KeySchema=table["KeySchema"],
        GlobalSecondaryIndexes=table["GlobalSecondaryIndexes"],
    )


def configure_domain(cloudflare: CloudflareDouble) -> dict[str, str]:
    """Store Cloudflare's token; return the environment of an app with the domain of ZONE_ID."""
    boto3.client("secretsmanager").create_secret(
        Name="friends/cloudflare", SecretString=cloudflare.token
    )
    domain = {"name": DOMAIN, "zone_id": ZONE_ID, "target": "t.cfargotunnel.com"}
    return {"DOMAINS": json.dumps([domain]), "CLOUDFLARE_URL": cloudflare.url}


def read_profile(friend_id: str) -> Any:
    """Return what a friend's profile.json holds."""
    answer = boto3.client("s3").get_object(Bucket=BUCKET, Key=f"friends/{friend_id}/profile.json")
    return json.loads(answer["Body"].read())
