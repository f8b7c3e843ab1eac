"""The same two routes with the libraries' own front doors, and every client made at import."""

import hashlib
import json
import os
from typing import Any

import boto3
import requests
import yaml
from chalice.app import Chalice, UnauthorizedError
from kubernetes import client, config

app = Chalice(app_name="straightforward")
table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])
secrets = boto3.client("secretsmanager")
s3 = boto3.client("s3")
lambda_ = boto3.client("lambda")
cloudflare = requests.Session()
kubeconfig = secrets.get_secret_value(SecretId="friends/kubeconfig/main")["SecretString"]
config.load_kube_config_from_dict(yaml.safe_load(kubeconfig))
core = client.CoreV1Api()


@app.route("/api/friends")
def list_friends() -> list[Any]:
    """Return the friends."""
    authenticate()
    answer = table.query(
        IndexName="friends",
        KeyConditionExpression="list_pk = :all",
        ExpressionAttributeValues={":all": "FRIENDS"},
    )
    return [{"id": row["id"], "display_name": row["display_name"]} for row in answer["Items"]]


@app.route("/api/friends/{id}/namespace/pods")
def list_pods(**path: str) -> list[Any]:
    """Return the friend's pods."""
    authenticate()
    table.get_item(Key={"pk": f"FRIEND#{path['id']}", "sk": "PROFILE"})["Item"]
    pods: Any = core.list_namespaced_pod(f"friend-{path['id']}")
    return [{"name": pod.metadata.name, "status": pod.status.phase} for pod in pods.items]


def authenticate() -> None:
    """Refuse who brings no token of ours."""
    stored = json.loads(secrets.get_secret_value(SecretId="friends/api-tokens")["SecretString"])
    request: Any = app.current_request
    presented = request.headers["authorization"]
    digest = hashlib.sha256(presented.removeprefix("Bearer ").encode()).hexdigest()
    if digest not in {token["sha256"] for token in stored["tokens"]}:
        raise UnauthorizedError("unknown token")
