"""Nothing leaves but through the seam: counted there and at the wire, and read in the source."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.faults.flows import FLOWS, Flow
from tests.faults.trial import Stage
from tests.harness import ROOT
from tests.world import World

# What can reach the outside, and which module may import what of that.
REACHING_OUT: Final = (
    "boto3",
    "botocore",
    "ftplib",
    "http.client",
    "httpx",
    "kubernetes",
    "requests",
    "smtplib",
    "socket",
    "subprocess",
    "urllib.request",
    "urllib3",
)
PERMITTED: Final = {
    # Makes the clients, and puts the seam in front of each.
    "gateways/aws.py": {
        "botocore.config",
        "botocore.exceptions",
        "botocore.parsers",
        "botocore.session",
    },
    # Reads descriptions of services from files.
    "gateways/service_models.py": {"botocore.loaders"},
    # Names of errors.
    "gateways/answers.py": {"botocore.exceptions"},
    "gateways/secrets.py": {"botocore.exceptions"},
    "gateways/table.py": {"botocore.exceptions"},
    "gateways/workspace.py": {"botocore.exceptions"},
    # Each has one place that makes requests, and hands them to the seam.
    "gateways/cloudflare.py": {"requests", "urllib3", "urllib3.exceptions"},
    "gateways/cluster.py": {
        "kubernetes.client",
        "kubernetes.client.exceptions",
        "kubernetes.dynamic",
        "kubernetes.dynamic.resource",
        "urllib3.exceptions",
    },
    # Makes the connections' pool that gateways/cluster.py uses.
    "gateways/tls.py": {
        "urllib3",
        "urllib3.connection",
        "urllib3.exceptions",
        "urllib3.response",
        "urllib3.util.ssl_",
    },
}


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_call_of_every_flow_passes_the_seam(
    populated: tuple[World, Callable[[], None]], flow: Flow
) -> None:
    world, restore = populated
    at_the_seam, at_the_wire = Stage(world, flow, restore).count()
    assert at_the_seam == at_the_wire
    assert at_the_seam.total() > 0


def test_only_the_gateways_import_what_reaches_out() -> None:
    found = {name: reaching for name, tree in sources() if (reaching := reaching_out_of(tree))}
    assert found == PERMITTED


@pytest.mark.parametrize("name", ["gateways/cloudflare.py", "gateways/cluster.py"])
def test_a_gateway_makes_requests_in_one_place_and_hands_them_to_the_seam(name: str) -> None:
    attributes = [
        node.attr for node in ast.walk(dict(sources())[name]) if isinstance(node, ast.Attribute)
    ]
    made = Counter(attributes)
    assert (made["request"], made["urlopen"], made["send"]) == (1, 0, 1)


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Yield each module of the product, by its path in the house."""
    house = ROOT / "chalicelib"
    for path in sorted(house.rglob("*.py")):
        yield str(path.relative_to(house)), ast.parse(path.read_text())


def reaching_out_of(tree: ast.Module) -> set[str]:
    """Return what a module imports that can reach the outside, wherever in the module."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {
        name
        for name in names
        if any(name == package or name.startswith(f"{package}.") for package in REACHING_OUT)
    }
