"""profile.json in S3: the newest wins, whatever order the writes arrive in."""

import json
from typing import Any

import boto3
import pytest

from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.workspace import S3Workspace
from tests.factories import create_friend
from tests.harness import BUCKET, create_backend, read_profile


@pytest.fixture
def workspace(aws: None) -> S3Workspace:
    """An empty workspace."""
    create_backend("no kubeconfig is needed here")
    return S3Workspace(AwsClients(), BUCKET)


def put(workspace: S3Workspace, version: int, **fields: Any) -> None:
    workspace.put_profile(create_friend(version=version, **fields), {"version": version})


def test_the_profile_lies_under_the_friends_id_and_is_json(workspace: S3Workspace) -> None:
    put(workspace, 1)
    answer = boto3.client("s3").get_object(Bucket=BUCKET, Key="friends/alice/profile.json")
    assert answer["ContentType"] == "application/json"
    assert json.loads(answer["Body"].read()) == {"version": 1}


def test_the_profile_is_laid_out_for_people(workspace: S3Workspace) -> None:
    profile = {"id": "alice", "display_name": 'A "l"\n\N{GRINNING FACE}', "signal": None}
    workspace.put_profile(create_friend(), profile)
    answer = boto3.client("s3").get_object(Bucket=BUCKET, Key="friends/alice/profile.json")
    assert answer["Body"].read().decode() == json.dumps(profile, ensure_ascii=False, indent=2)


def test_a_late_write_of_an_older_version_changes_nothing(workspace: S3Workspace) -> None:
    for version in (1, 3, 2, 1, 3):
        put(workspace, version)
    assert read_profile("alice") == {"version": 3}


def test_a_first_write_that_comes_late_changes_nothing(workspace: S3Workspace) -> None:
    put(workspace, 2)
    put(workspace, 1)
    assert read_profile("alice") == {"version": 2}


def test_what_an_earlier_friend_of_the_id_left_is_replaced(workspace: S3Workspace) -> None:
    put(workspace, 7, created_at="2026-01-01T00:00:00.000000Z")
    put(workspace, 1, created_at="2026-11-24T00:00:00.000000Z")
    assert read_profile("alice") == {"version": 1}
    put(workspace, 8, created_at="2026-01-01T00:00:00.000000Z")
    assert read_profile("alice") == {"version": 1}


def test_a_write_that_loses_the_race_looks_again(
    workspace: S3Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(workspace, 1)
    client: Any = workspace._aws.s3  # noqa: SLF001 - the race is put where the wire is
    head = client.head_object
    raced: list[bool] = []

    def head_then_lose(**arguments: Any) -> Any:
        found = head(**arguments)
        if not raced:
            raced.append(True)
            put(workspace, 2)
        return found

    monkeypatch.setattr(client, "head_object", head_then_lose)
    put(workspace, 3)
    assert read_profile("alice") == {"version": 3}
