"""A few of the faults that `make faults` runs all of."""

from collections.abc import Callable
from typing import Final

import pytest

from chalicelib.services.convergence import _OneFriend
from tests.faults.campaign import Shard, faults_of, run_shard
from tests.faults.flows import FLOWS, Flow
from tests.faults.injection import Fault
from tests.faults.modes import Mode, modes_of
from tests.faults.trial import Stage
from tests.world import World

FEW: Final = 3
# A pass makes the same writes by the same code, many more of them: that is for `make faults`.
OF_CLIENTS: Final = [flow for flow in FLOWS if not flow.was_accepted]
PopulatedWorld = tuple[World, Callable[[], None]]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_some_faults_of_every_flow_lose_and_leak_nothing(
    populated: PopulatedWorld, flow: Flow
) -> None:
    world, restore = populated
    stage = Stage(world, flow, restore)
    shards = len(faults_of(stage.trace())) // FEW
    tally = run_shard(stage, Shard(flow.name, FLOWS.index(flow) % shards, shards, pairs=1, seed=0))
    assert tally.unsound == []
    assert tally.singles >= FEW


def assert_made_whole(populated: PopulatedWorld, name: str, call: str) -> None:
    """Assert that, however the flow's call goes wrong, nothing is lost and nothing is left over."""
    world, restore = populated
    stage = Stage(world, next(each for each in FLOWS if each.name == name), restore)
    point = [each for each in stage.trace() if call in each.outgoing.name][-1]
    assert point.outgoing.is_write
    for mode in modes_of(point.outgoing):
        verdict = stage.run(Fault(point, mode))
        assert (verdict.struck, verdict.is_sound) == (True, True), str(verdict)


def test_l01_l05_a_namespace_and_a_profile_whose_row_was_not_updated(
    populated: PopulatedWorld,
) -> None:
    assert_made_whole(populated, "register", "update_item")


def test_l02_a_row_whose_namespace_failed(populated: PopulatedWorld) -> None:
    assert_made_whole(populated, "register", "POST /api/v1/namespaces")


def test_l02_a_row_whose_profile_failed(populated: PopulatedWorld) -> None:
    assert_made_whole(populated, "update", "put_object")


def test_l03_a_record_whose_route_failed(populated: PopulatedWorld) -> None:
    assert_made_whole(populated, "expose", "/ingressroutes/")


def test_l04_a_route_whose_claim_was_not_settled(populated: PopulatedWorld) -> None:
    assert_made_whole(populated, "expose", "transact_write_items")
    assert_made_whole(populated, "un-expose", "transact_write_items")


@pytest.mark.parametrize("flow", OF_CLIENTS, ids=lambda flow: flow.name)
def test_l06_no_write_whose_answer_is_lost_loses_or_leaks_anything(
    populated: PopulatedWorld, flow: Flow
) -> None:
    world, restore = populated
    stage = Stage(world, flow, restore)
    writes = [each for each in stage.trace() if each.outgoing.is_write]
    for point in writes:
        verdict = stage.run(Fault(point, Mode.TIMEOUT))
        assert (verdict.struck, verdict.is_sound) == (True, True), str(verdict)


def test_what_a_broken_reconciler_leaves_is_noticed(
    populated: PopulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, restore = populated
    stage = Stage(world, next(each for each in FLOWS if each.name == "register"), restore)
    point = next(each for each in stage.trace() if each.outgoing.name == "put_object")
    fault = Fault(point, Mode.CRASH_BEFORE)
    assert stage.run(fault).is_sound
    monkeypatch.setattr(_OneFriend, "_profile", lambda _: None)
    assert stage.run(fault).problems.lost == ["carol's profile.json is not as recorded"]
