"""A command that lacks something says what, and how it is given."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# Whatever a recipe does, no environment is set up here, and no program of one is run.
NOTHING_RUNS = ("--old-file=.venv/.installed", "PYTHONS=false", "BIN=/nowhere")
STORE = "Say which: make store-kubeconfig CLUSTER=main FILE=/path"
MINT = (
    "Say whose in the command: make mint-token ROLE=admin, or make mint-token ROLE=agent "
    "AGENT_ID=mochi"
)
TOKEN = "Say whose: make token ROLE=admin, or make token ROLE=agent AGENT_ID=mochi"


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", *NOTHING_RUNS, *arguments]
    environment = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(  # noqa: S603 - ours
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("deploy", "Say which: make deploy STAGE=prod"),
        ("doctor", "Say which: make doctor STAGE=prod"),
        ("store-kubeconfig", STORE),
        ("store-kubeconfig CLUSTER=main", STORE),
        ("store-kubeconfig FILE=/path", STORE),
        ("route-domains", "Say which: make route-domains DOMAINS=domains.json"),
        ("revoke-token", "Say which: make revoke-token ID=<id>; make list-tokens shows them"),
        ("mint-token", MINT),
        ("mint-token ROLE=boss", MINT),
        ("mint-token ROLE=agent", MINT),
        ("token ROLE=boss", TOKEN),
    ],
)
def test_a_command_that_lacks_something_says_what(arguments: str, says: str) -> None:
    done = make(*arguments.split())
    assert done.returncode
    assert done.stderr.splitlines()[0] == says


def test_the_help_tells_whose_token_is_minted_when_nothing_is_said() -> None:
    (line,) = (each for each in make("help").stdout.splitlines() if each.startswith("make token "))
    assert line.endswith("ROLE=admin, or ROLE=agent AGENT_ID=... (default: agent mochi)")


@pytest.mark.parametrize(
    ("given", "is_passed"), [("STAGE=prod", False), ("STAGE=prod KUBECONFIG=/an/admins", True)]
)
def test_the_doctor_is_given_the_kubeconfig_of_the_command(given: str, is_passed: bool) -> None:
    done = make("-n", "doctor", *given.split())
    assert ("--kubeconfig /an/admins" in done.stdout) is is_passed


def test_the_doctor_is_not_given_a_kubeconfig_of_the_environment() -> None:
    command = ["make", *NOTHING_RUNS, "-n", "doctor", "STAGE=prod"]
    environment = {"PATH": "/usr/bin:/bin", "KUBECONFIG": "/anything"}
    done = subprocess.run(  # noqa: S603 - ours
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "--kubeconfig" not in done.stdout
