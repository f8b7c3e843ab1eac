"""JSON Schema of the manifests that may be applied, from the shapes that admission reads by.

It says which fields there are and of which type. Admission's rules know more: they answer 422.
"""

from typing import Final

from chalicelib.domain.admission import MOST_MANIFESTS, scalars
from chalicelib.domain.admission.schema import MOST_ITEMS, ListOf, MapOf, Member, Shape, Struct
from chalicelib.domain.admission.shapes import SHAPES
from chalicelib.domain.kinds import Kind
from chalicelib.domain.model import JsonObject

_PREFIX: Final = "Manifest."
# What rules require, where the shapes leave it open.
_REQUIRED_BY_RULES: Final = {"ObjectMeta": ("name",), "DeploymentSpec": ("template",)}
_SCALARS: Final[dict[Shape, JsonObject]] = {
    scalars.TEXT: {"type": "string"},
    scalars.FLAG: {"type": "boolean"},
    scalars.INT32: {"type": "integer", "minimum": -(1 << 31), "maximum": (1 << 31) - 1},
    scalars.INT64: {"type": "integer", "minimum": -(1 << 63), "maximum": (1 << 63) - 1},
    scalars.MODE: {"type": "integer", "minimum": 0, "maximum": scalars.ALL_PERMISSIONS},
    scalars.NUMBER_OR_TEXT: {"type": ["integer", "string"]},
    scalars.QUALIFIED: {"type": "string"},
    scalars.QUANTITY: {"type": ["string", "number"]},
}


def describe_body(schemas: dict[str, JsonObject]) -> JsonObject:
    """Return the schema of an apply's body; what it refers to is added to schemas."""
    for kind, shape in SHAPES.items():
        _add(shape, schemas)
        _pin(schemas[_PREFIX + shape.name], kind)
    one = {"anyOf": [_reference(shape) for shape in SHAPES.values()]}
    schemas["Manifest"] = {"description": "One object to apply.", **one}
    manifest = {"$ref": "#/components/schemas/Manifest"}
    many = {"type": "array", "minItems": 1, "maxItems": MOST_MANIFESTS, "items": manifest}
    wrapped = {
        "type": "object",
        "properties": {"manifests": many},
        "required": ["manifests"],
        "additionalProperties": False,
    }
    return {"anyOf": [manifest, many, wrapped]}


def _pin(schema: JsonObject, kind: Kind) -> None:
    schema["properties"]["kind"] = {"const": kind.name}
    schema["properties"]["apiVersion"] = {"const": kind.api_version}
    # Required by admission's rules, where the shapes leave it open.
    schema["required"] = ["kind", "metadata", *(["spec"] if "spec" in schema["properties"] else [])]


def _add(struct: Struct, schemas: dict[str, JsonObject]) -> None:
    name = _PREFIX + struct.name
    if name in schemas:
        return
    schemas[name] = schema = {"type": "object", "additionalProperties": False}
    open_members = {key: each for key, each in struct.members.items() if _may_be_set(each)}
    schema["properties"] = {
        key: _describe(each.shape, schemas) for key, each in open_members.items()
    }
    if required := [key for key, each in open_members.items() if each.required]:
        schema["required"] = required
    if more := _REQUIRED_BY_RULES.get(struct.name):
        schema["required"] = [*required, *more]


def _may_be_set(member: Member) -> bool:
    # A rule that reads all of a value refuses it whenever it is there.
    return member.why_refused is None and member.shape is not scalars.ANYTHING


def _describe(shape: Shape, schemas: dict[str, JsonObject]) -> JsonObject:
    if isinstance(shape, Struct):
        _add(shape, schemas)
        return _reference(shape)
    if isinstance(shape, MapOf):
        return {"type": "object", "additionalProperties": _describe(shape.shape, schemas)}
    if isinstance(shape, ListOf):
        return {"type": "array", "maxItems": MOST_ITEMS, "items": _describe(shape.shape, schemas)}
    if isinstance(shape, scalars.Scalar) and shape.choices:
        return {"enum": [*shape.choices]}
    return dict(_SCALARS[shape])


def _reference(struct: Struct) -> JsonObject:
    return {"$ref": f"#/components/schemas/{_PREFIX}{struct.name}"}
