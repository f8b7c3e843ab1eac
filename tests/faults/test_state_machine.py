"""The state machine, run: a few examples here, ten thousand in `make nightly`."""

import os
from collections.abc import Callable
from functools import partial
from typing import Final, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.machine import FriendsMachine
from tests.world import World

# (examples, parts): the parts run side by side with pytest -n.
PROFILES: Final = {"default": (40, 1), "nightly": (10_000, 20)}
EXAMPLES, PARTS = PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "default")]


@pytest.mark.case("H2")
@pytest.mark.case("H3")
@pytest.mark.case("M1")
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_the_world_comes_to_rest_as_recorded(
    populated: tuple[World, Callable[[], None]], part: int
) -> None:
    world, restore = populated
    run_state_machine_as_test(
        # Only called, whatever its type says.
        cast("type[FriendsMachine]", partial(FriendsMachine, world, restore)),
        settings=settings(
            max_examples=EXAMPLES // PARTS,
            stateful_step_count=10,
            deadline=None,
            # The same each time, so that a failure is a change's fault; at night, new ones.
            derandomize=PARTS == 1,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_what_is_foreign_in_a_namespace_goes_with_it_when_its_friend_comes_back(
    populated: tuple[World, Callable[[], None]],
) -> None:
    machine = FriendsMachine(*populated)
    machine.delete(friend_id="alice")
    machine.deliver(position=0, again=True)
    machine.register(friend_id="alice", name="Ben", discord_id="7" * 18, by_agent=True)
    machine.teardown()
