"""What a value must be, said once: as a check with a sentence, and as JSON Schema.

Requests are held to the check and the API's description is made of the schema, so both come from
the same constants. A check may know more than its schema can say (which names are taken, say);
a value that the schema refuses is never let through.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from chalicelib.domain.errors import LONGEST_ECHO, Fault
from chalicelib.domain.model import JsonObject


@dataclass(frozen=True)
class Rule:
    """What one value must be.

    fault_of returns what is wrong with a value, to come after its name in a sentence, or None.
    It is asked only of values of the schema's type, unless the schema names none.
    """

    fault_of: Callable[[Any], str | None]
    schema: JsonObject


@dataclass(frozen=True)
class Field:
    """One field of a body. null is as good as leaving it out, unless it is required.

    is_clearable: so is an empty text.
    """

    name: str
    rule: Rule
    description: str
    required: bool = False
    nullable: bool = True
    is_clearable: bool = False


def pattern(regex: re.Pattern[str], **more: object) -> JsonObject:
    """Return the schema of the strings that match this expression as a whole.

    The expression must mean the same in JavaScript, whose dialect JSON Schema speaks.
    """
    return {"type": "string", "pattern": f"^(?:{regex.pattern})$", **more}


def choice(choices: Sequence[str]) -> Rule:
    """Return the rule of a field that holds one of these words."""
    return Rule(partial(_choice_fault, choices), {"type": "string", "enum": [*choices]})


def field_faults(body: JsonObject, fields: Iterable[Field]) -> list[Fault]:
    """Return what is wrong with a body: unknown fields first, then each field's own fault."""
    fields = tuple(fields)
    faults = unknown_fields(body, [each.name for each in fields])
    for each in fields:
        if fault := _field_fault(body, each):
            faults.append(Fault(f"/{each.name}", f"{each.name} {fault}"))
    return faults


def body_schema(fields: Iterable[Field], **more: object) -> JsonObject:
    """Return the schema of a body that has these fields, and no others."""
    fields = tuple(fields)
    schema: JsonObject = {
        "type": "object",
        "properties": {each.name: _field_schema(each) for each in fields},
        "additionalProperties": False,
        **more,
    }
    if required := [each.name for each in fields if each.required]:
        schema["required"] = required
    return schema


def unknown_fields(body: JsonObject, known: Sequence[str]) -> list[Fault]:
    """Return a fault for each field of the body that is not known here."""
    listed = ", ".join(known)
    return [
        Fault(
            f"/{_pointer(name)}",
            f"{name[:LONGEST_ECHO]!r} cannot be set here. Known fields: {listed}.",
        )
        for name in body
        if name not in known
    ]


def _field_fault(body: JsonObject, field: Field) -> str | None:
    value = body.get(field.name)
    if field.name not in body:
        return "is required." if field.required else None
    if value is None and field.nullable and not field.required:
        return None
    if value == "" and field.is_clearable:
        return None
    if field.rule.schema.get("type") == "string" and not isinstance(value, str):
        return "must be a string."
    return field.rule.fault_of(value)


def _field_schema(field: Field) -> JsonObject:
    schema = {**field.rule.schema, "description": field.description}
    if field.nullable and not field.required:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    if not field.is_clearable:
        return schema
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], ""]}
    return {"description": schema.pop("description"), "anyOf": [schema, {"const": ""}]}


def _choice_fault(choices: Sequence[str], value: str) -> str | None:
    return None if value in choices else f"must be one of: {', '.join(choices)}."


def _pointer(name: str) -> str:
    return name[:LONGEST_ECHO].replace("~", "~0").replace("/", "~1")


ANY_TEXT: Final = Rule(lambda _: None, {"type": "string"})
