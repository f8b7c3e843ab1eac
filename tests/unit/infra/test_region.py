"""A region is named by either of two variables; each command takes both."""

import os
import subprocess
import sys

import pytest

from infra.paths import ROOT
from infra.region import adopt_region

COMMANDS = [
    ["infra.tokens", "list"],
    ["infra.doctor", "--stage", "local"],
    ["infra.deploy", "--stage", "local"],
    ["infra.cloudflare", "put"],
    ["infra.kubeconfig", "put", "main", "/nowhere"],
]


@pytest.mark.case("W9")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_command_works_in_the_region_of_either_variable(
    command: list[str], variable: str
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        # Nobody listens there.
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "1",
        variable: "eu-west-1",
    }
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        input="x7Kp2todoQ9vLm4RtY8bNc3WzT6uJh5gFd1sAe0P",
        check=False,
    )
    assert done.returncode == 1
    assert "region" not in done.stderr
    assert "127.0.0.1:9" in done.stderr or "/nowhere cannot be read" in done.stderr


@pytest.mark.case("W9")
@pytest.mark.parametrize(
    ("given", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": ""}, None),
    ],
)
def test_the_default_region_counts_where_both_are_named(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], region: str | None
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    adopt_region()
    assert os.environ.get("AWS_DEFAULT_REGION") == region
