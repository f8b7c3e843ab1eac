"""Our typed JSON is boto3's, for every value that an item here may hold.

boto3 leaves bytes to botocore; ours is the form on the wire, where they are in base64.
"""

import base64
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
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


@given(VALUES)
def test_it_is_what_boto3_and_botocore_make_of_the_same_value(value: Any) -> None:
    ours, theirs = serialize(value), on_the_wire(TypeSerializer().serialize(value))
    plain = TypeDeserializer().deserialize
    assert plain(on_the_wire(ours, base64.b64decode)) == plain(
        on_the_wire(theirs, base64.b64decode)
    )
    assert deserialize(theirs) == value


def on_the_wire(attribute: Any, code: Any = lambda given: base64.b64encode(given).decode()) -> Any:
    """Return an attribute value with its bytes coded, however deep they are."""
    ((kind, value),) = attribute.items()
    match kind:
        case "B":
            return {"B": code(value)}
        case "M":
            return {"M": {key: on_the_wire(each, code) for key, each in value.items()}}
        case "L":
            return {"L": [on_the_wire(each, code) for each in value]}
    return attribute


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
