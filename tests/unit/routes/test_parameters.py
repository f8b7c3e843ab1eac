"""Parameters that are required, given once, and declared."""

from collections.abc import Sequence

import pytest

from chalicelib.domain.errors import InvalidInput
from chalicelib.domain.rules import ANY_TEXT
from chalicelib.routes.parameters import Parameter, Place, Sent, read_parameters

CONFIRM = Parameter("confirm", Place.QUERY, ANY_TEXT, "The id again.", str, "", required=True)


def read(**query: Sequence[str]) -> object:
    return read_parameters([CONFIRM], Sent({}, query, {}))


def test_a_required_parameter_is_given() -> None:
    assert read(confirm=["alice"]) == {"confirm": "alice"}
    with pytest.raises(InvalidInput, match="confirm is required: The id again"):
        read()


def test_a_parameter_is_given_once() -> None:
    with pytest.raises(InvalidInput, match="once"):
        read(confirm=["alice", "alice"])


def test_a_parameter_is_declared() -> None:
    with pytest.raises(InvalidInput) as refusal:
        read(confirm=["alice"], dry_rum=["true"])
    assert [fault.path for fault in refusal.value.faults] == ["?dry_rum"]
