"""A few of the faults that `make faults` runs all of."""

from collections.abc import Callable
from typing import Final

import pytest

from chalicelib.services.convergence import _OneFriend
from tests.faults.campaign import Shard, faults_of, run_shard
from tests.faults.flows import FLOWS, Flow
from tests.faults.injection import Fault
from tests.faults.modes import Mode
from tests.faults.trial import Stage
from tests.world import World

FEW: Final = 3


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_some_faults_of_every_flow_lose_and_leak_nothing(
    populated: tuple[World, Callable[[], None]], flow: Flow
) -> None:
    world, restore = populated
    stage = Stage(world, flow, restore)
    shards = len(faults_of(stage.trace())) // FEW
    tally = run_shard(stage, Shard(flow.name, FLOWS.index(flow) % shards, shards, pairs=1, seed=0))
    assert tally.unsound == []
    assert tally.singles >= FEW


def test_what_a_broken_reconciler_leaves_is_noticed(
    populated: tuple[World, Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, restore = populated
    stage = Stage(world, next(each for each in FLOWS if each.name == "register"), restore)
    point = next(each for each in stage.trace() if each.outgoing.name == "put_object")
    fault = Fault(point, Mode.CRASH_BEFORE)
    assert stage.run(fault).is_sound
    monkeypatch.setattr(_OneFriend, "_profile", lambda _: None)
    assert stage.run(fault).problems.lost == ["carol's profile.json is not as recorded"]
