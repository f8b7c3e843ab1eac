"""A world, and what brings it back as it was."""

from collections.abc import Callable, Iterator

import pytest

from tests.world import World, serve_world


@pytest.fixture(scope="module")
def populated() -> Iterator[tuple[World, Callable[[], None]]]:
    """A world with friends in it, made once for a module, and the function that brings it back."""
    with serve_world() as world:
        world.populate()
        yield world, world.save()
