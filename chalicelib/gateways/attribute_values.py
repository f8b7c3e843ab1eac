"""DynamoDB's typed JSON: {"S": "alice"} for "alice".

boto3 has this too, but importing any part of boto3 imports all of it, and its transfer manager,
and doubles the time in which a function wakes. Only the types that items here have are known.
This is the form on the wire, which botocore hands through as it is (see service_models): bytes are
in base64.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def serialize(value: object) -> dict[str, Any]:  # noqa: PLR0911 - one for each type
    """Return a plain value as an attribute value.

    Raises TypeError for what no item here holds: a float, a set.
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": str(value)}
        case bytes():
            return {"B": b64encode(value).decode()}
        case Mapping():
            return {"M": {key: serialize(each) for key, each in value.items()}}
        case list() | tuple():
            return {"L": [serialize(each) for each in value]}
    msg = f"DynamoDB's items hold no {type(value).__name__} here"
    raise TypeError(msg)


def deserialize(attribute: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever the item holds
    """Return an attribute value as a plain value; a number becomes a Decimal.

    Raises TypeError for a type that no item here has.
    """
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "BOOL" | "S":
            return value
        case "B":
            return b64decode(value)
        case "N":
            return Decimal(value)
        case "M":
            return {key: deserialize(each) for key, each in value.items()}
        case "L":
            return [deserialize(each) for each in value]
    msg = f"items hold no attribute of type {kind} here"
    raise TypeError(msg)
