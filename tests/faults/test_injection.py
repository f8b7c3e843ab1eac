"""What the seam that fails does to the process, and to what was under way in it."""

from collections.abc import Callable
from unittest import mock

import pytest

from chalicelib.gateways.seam import Outgoing
from tests.faults.injection import FaultySeam, ProcessKilled
from tests.world import World


def test_an_answer_that_arrives_after_its_process_died_is_closed(
    populated: tuple[World, Callable[[], None]],
) -> None:
    seam, answer = FaultySeam(populated[0]), mock.Mock()

    def die_meanwhile() -> mock.Mock:
        seam.end()
        return answer

    with pytest.raises(ProcessKilled):
        seam.send(Outgoing("cluster", "GET /", is_write=False), die_meanwhile)
    answer.close.assert_called_once_with()
