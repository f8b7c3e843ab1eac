"""A schema in a line of HTML, as a reader of the page wants it."""

import json
from html import escape
from typing import Any, Final

from chalicelib.domain.model import JsonObject

_BOUNDS: Final = {
    "minimum": "from {}",
    "maximum": "to {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "format": "{}",
}


def show_schema(schema: JsonObject) -> str:
    """Return what a value must be: its type, with links to shapes that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(show_schema, schema["anyOf"]))
    if "allOf" in schema:
        first, more = schema["allOf"]
        codes = ", ".join(f"<code>{each}</code>" for each in more["properties"]["code"]["enum"])
        return f"{show_schema(first)} with the code {codes}"
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(json.dumps(each))}</code>" for each in values)
    return _typed(schema)


def _typed(schema: JsonObject) -> str:
    kind: Any = schema.get("type", "any JSON")
    words = [" or ".join(kind) if isinstance(kind, list) else kind]
    if "items" in schema:
        words = [f"array of {show_schema(schema['items'])}"]
    elif isinstance(schema.get("additionalProperties"), dict):
        words = [f"object, each value {show_schema(schema['additionalProperties'])}"]
    if "properties" in schema:
        inside = (f"{name}: {show_schema(each)}" for name, each in schema["properties"].items())
        words = [f"object of {', '.join(inside)}"]
    words += [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    if "default" in schema:
        words.append(f"default <code>{escape(json.dumps(schema['default']))}</code>")
    if "pattern" in schema:
        words.append(f"<code>{escape(schema['pattern'])}</code>")
    return ", ".join(words)
