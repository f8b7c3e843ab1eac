"""The cases from the field: what people met elsewhere, each with the tests that hold the answer.

A test carries `@pytest.mark.case("K3")`. Each parameter set of it is one input, so the first is
the example and the others are its neighbours. A run of pytest ends with a line that counts both.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, cast

import pytest

# A case that is an input has this many neighbours at least.
FEWEST_NEIGHBOURS: Final = 3

# What is tried: inputs.
INPUTS: Final[Mapping[str, str]] = {
    "H4": "forty registrations by one agent; large ConfigMaps",
    "M9": "addresses that pods must not reach",
    "M11": "labels that platforms select by",
    "M12": "Jobs that leave finished pods behind",
    "L2": "host names that belong to the platform",
    "L6": "an admission policy that a leaked role tries to pass",
    "L8": "a seccomp profile of the node",
    "W1": "a CA without key identifiers, on Python 3.13",
    "W2": "a zone whose id belongs to another name",
    "W5": "a certificate that does not fit the CA or the name",
    "W6": "certificate-authority-data that is no PEM",
    "W7": "a token that has ended, or ends soon",
    "W8": "paths with a trailing slash",
    "W9": "tokens, addresses and settings that were refused for the wrong reason",
    "W10": "answers of proxies and of Cloudflare that named another cause",
    "K1": "another strategy for a live Deployment",
    "K3": "file modes whose fix widened them",
    "K4": "memory in the wrong unit",
    "K10": "an object applied again with its defaults spelled out",
    "K11": "log lines longer than the answer",
    "K14": "a field that kubectl holds",
    "K15": "U+FFFD in a text",
    "K16": "what the double took and the real server refuses",
    "CLIENTS": "what the product family's published clients send",
}
# What happens: faults, races, settings.
FAULTS: Final[Mapping[str, str]] = {
    "H1": "waiting rollouts of one friend hold every worker",
    "H2": "an emptied table, and two stages on one cluster",
    "H3": "a deleted Deployment comes back",
    "H5": "a list of exposures in a loop",
    "M1": "a lost claim that is another's by now",
    "M2": "a cancelled transaction taken for success",
    "M3": "an agent without friends pages through all of them",
    "M4": "the oldest unfinished operation behind fifty newer ones",
    "M5": "manifests in an index",
    "M6": "reconcile fans out without a bound",
    "M7": "public answers without a bound",
    "M8": "pids and garbage collection of a node",
    "M13": "clusters that hang, one after another",
    "L1": "a lease counted from after its claim",
    "L3": "a repeated transaction meets its own lease",
    "L5": "policies wider than the objects they are for",
    "L7": "cookies across friends' subdomains",
    "W3": "doctor on a broken stack",
    "W4": "a cluster without Traefik's CRD",
    "W11": "the deploy guide, step by step",
    "K8": "an object that the cluster answers with 500",
    "K17": "a quota that counts a moment later",
}
CASES: Final = {**INPUTS, **FAULTS}

_CASE: Final = "case"


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker, and listen to what becomes of the tests."""
    config.addinivalue_line("markers", "case(id): the test holds the answer to a field case")
    config.pluginmanager.register(_Listener())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have each report say which cases its test holds; an unknown id is an error."""
    for item in items:
        for marker in item.iter_markers(_CASE):
            for each in cast("Sequence[str]", marker.args):
                if each not in CASES:
                    msg = f"{item.nodeid}: there is no field case {each}"
                    raise pytest.UsageError(msg)
                item.user_properties.append((_CASE, each))


class _Listener:
    """Keeps the outcomes of tests by case."""

    def __init__(self) -> None:
        self._outcomes: defaultdict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            for name, value in report.user_properties:
                if name == _CASE:
                    self._outcomes[str(value)].append(report.outcome)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._outcomes:
            return
        tried = {each: len(self._outcomes[each]) for each in CASES if self._outcomes[each]}
        passed = [each for each in tried if set(self._outcomes[each]) == {"passed"}]
        inputs = {each: number - 1 for each, number in tried.items() if each in INPUTS}
        terminalreporter.write_line(
            f"field cases: {len(tried)} of {len(CASES)} covered, {len(passed)} passed, "
            f"{sum(tried.values())} tests; neighbours of the {len(inputs)} inputs: "
            + ", ".join(f"{each} {number}" for each, number in inputs.items())
        )
