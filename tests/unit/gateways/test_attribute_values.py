"""Our typed JSON is boto3's, for every value that an item here may hold."""

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.model import Phase
from chalicelib.gateways.attribute_values import deserialize, serialize

# DynamoDB's numbers have 38 digits.
NUMBERS = st.integers(-(10**37), 10**37) | st.decimals(
    allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.text() | st.binary() | NUMBERS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)  # a slow machine is no fault
@given(VALUES)
def test_it_is_what_boto3_makes_of_the_same_value(value: Any) -> None:
    ours: Any = serialize(value)
    assert TypeDeserializer().deserialize(ours) == TypeDeserializer().deserialize(
        TypeSerializer().serialize(value)
    )
    assert deserialize(TypeSerializer().serialize(value)) == value


def test_a_number_is_read_as_a_decimal() -> None:
    assert isinstance(deserialize({"N": "1"}), Decimal)


def test_an_enumeration_is_its_value_on_the_wire() -> None:
    assert serialize(Phase.READY) == {"S": "ready"}


@pytest.mark.parametrize("value", [1.5, bytearray(b"x"), {"x"}, object()])
def test_what_no_item_holds_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        serialize(value)


@pytest.mark.parametrize("attribute", [{"BS": [b"x"]}, {"SS": ["x"]}])
def test_what_no_item_of_ours_holds_is_not_understood(attribute: Any) -> None:
    with pytest.raises(TypeError):
        deserialize(attribute)
