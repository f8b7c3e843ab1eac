"""JSON Schema of the types that answers are built as (domain/shown.py and its neighbours)."""

import inspect
from collections.abc import Sequence
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from chalicelib.domain.model import JsonObject

_PLAIN = {str: "string", int: "integer", bool: "boolean", NoneType: "null"}


class Schemas:
    """The schemas by name, as they are met: each TypedDict is one of them."""

    def __init__(self) -> None:
        """Start without any."""
        self.by_name: dict[str, JsonObject] = {}

    def schema_of(self, kind: Any) -> JsonObject:  # noqa: ANN401 - types have no type of their own
        """Return a type's schema; that of a TypedDict is a reference. Raises TypeError."""
        if kind in _PLAIN:
            return {"type": _PLAIN[kind]}
        if kind is object:
            return {}
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return {"type": "string", "enum": [*kind]}
        if hasattr(kind, "__required_keys__"):
            return self._reference(kind)
        return self._composed(get_origin(kind), get_args(kind))

    def _composed(self, origin: object, args: Sequence[Any]) -> JsonObject:
        if origin is NotRequired:
            return self.schema_of(args[0])
        if origin is Annotated:
            return {**self.schema_of(args[0]), "description": args[1]}
        if origin is list:
            return {"type": "array", "items": self.schema_of(args[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.schema_of(args[1])}
        if origin is Literal:
            word = {"type": _PLAIN[type(args[0])]}
            return {**word, "const": args[0]} if len(args) == 1 else {**word, "enum": [*args]}
        if origin in {Union, UnionType}:
            return self._union([self.schema_of(each) for each in args])
        msg = f"The type {origin} has no JSON Schema here."
        raise TypeError(msg)

    def _union(self, schemas: Sequence[JsonObject]) -> JsonObject:
        if all(each.keys() == {"type"} for each in schemas):
            return {"type": [each["type"] for each in schemas]}
        return {"anyOf": [*schemas]}

    def _reference(self, kind: Any) -> JsonObject:  # noqa: ANN401 - see schema_of
        name = kind.__name__
        if name not in self.by_name:
            self.by_name[name] = {}
            hints = get_type_hints(kind, include_extras=True)
            self.by_name[name] = {
                "type": "object",
                "description": inspect.cleandoc(kind.__doc__),
                "properties": {key: self.schema_of(each) for key, each in hints.items()},
                "required": [key for key in hints if key in kind.__required_keys__],
            }
        return {"$ref": f"#/components/schemas/{name}"}
