"""The description as a page: HTML without scripts or anything from elsewhere, for people.

It is made of the same document as /api/openapi.json, so the two cannot disagree.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from typing import Final

from chalicelib.domain.model import JsonObject
from chalicelib.routes.description.document import describe
from chalicelib.routes.description.schema_text import show_schema

STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; --link: light-dark(#06c, #7bf); }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
a { color: var(--link); }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
code { overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: 4px; }
h2 { border-bottom: 1px solid var(--line); margin-top: 3rem; }
h3 { margin-top: 2.5rem; overflow-wrap: anywhere; }
h3 code { font-size: 1.05rem; }
nav ul { columns: 20rem; padding-left: 0; list-style: none; }
nav li { break-inside: avoid; margin-bottom: .25rem; }
table { border-collapse: collapse; table-layout: fixed; width: 100%; }
small { opacity: .8; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; }
tr { border-bottom: 1px solid var(--line); }
td:first-child { width: 11rem; overflow-wrap: anywhere; }
summary { cursor: pointer; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
@media (max-width: 40rem) { td, td:first-child { display: block; width: auto; } }
"""
# On every answer alike.
_EVERYWHERE: Final = ("X-Request-Id",)
STYLE_HASH: Final = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


@lru_cache(maxsize=1)
def render_page() -> str:
    """Return the page."""
    document = describe()
    about = document["info"]
    operations = list(_operations(document))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(about['title'])}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(about['title'])}</h1><p>{escape(about['summary'])}</p>",
        *(f"<p>{escape(each)}</p>" for each in about["description"].split("\n\n")),
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p><nav><ul>',
        *map(_entry, operations),
        "</ul></nav>",
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'].title())}</h2><p>{escape(tag['description'])}</p>")
        parts += [_section(each, document) for each in operations if tag["name"] in each["tags"]]
    parts += [
        _errors(document),
        "<h2>Shapes</h2><p>* is always there.</p>",
        *_shapes(document),
        "</body></html>",
    ]
    return "".join(parts)


def _operations(document: JsonObject) -> Iterator[JsonObject]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield {**operation, "path": path, "method": method.upper()}


def _heading(operation: JsonObject) -> str:
    method, path = operation["method"], escape(operation["path"])
    return f'<code><span class="method">{method}</span>{path}</code>'


def _entry(operation: JsonObject) -> str:
    target = operation["operationId"]
    return (
        f'<li><a href="#{target}">{_heading(operation)}</a><br>{escape(operation["summary"])}</li>'
    )


def _section(operation: JsonObject, document: JsonObject) -> str:
    about = f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p>"
    access = "" if operation["security"] else "<p>Public: no token is needed.</p>"
    return (
        f'<section id="{operation["operationId"]}"><h3>{_heading(operation)}</h3>{about}{access}'
        f"{_parameters(operation)}{_body(operation)}{_responses(operation, document)}</section>"
    )


def _parameters(operation: JsonObject) -> str:
    rows = [
        (
            f"<code>{escape(each['name'])}</code> ({each['in']})",
            f"{escape(each['description'])}<br><small>{show_schema(each['schema'])}</small>",
        )
        for each in operation["parameters"]
    ]
    return f"<h4>Parameters</h4>{_table(rows)}" if rows else ""


def _body(operation: JsonObject) -> str:
    if "requestBody" not in operation:
        return ""
    ((content_type, media),) = operation["requestBody"]["content"].items()
    return f"<h4>Body, {content_type}</h4>{_fields(media['schema'])}{_example(media)}"


def _responses(operation: JsonObject, document: JsonObject) -> str:
    """Return the successes whole, and of each error its codes: the rest of them is said once."""
    rows, errors = [], []
    for status, found in operation["responses"].items():
        if "$ref" not in found:
            rows.append((status, _success(found)))
        elif status != "default":
            schema = _resolved(found, document)["content"]["application/json"]["schema"]
            codes = ", ".join(_codes_in(schema))
            errors.append(f'<a href="#error-{status}">{status}</a> {codes}')
    return f"<h4>Answers</h4>{_table(rows)}<p>Errors: {'; '.join(errors)}.</p>"


def _success(response: JsonObject) -> str:
    names = [f"<code>{name}</code>" for name in response["headers"] if name not in _EVERYWHERE]
    headers = f" Headers: {', '.join(names)}." if names else ""
    shown = "".join(
        f"<p>{show_schema(media['schema'])} as {escape(content_type)}</p>{_example(media)}"
        for content_type, media in response["content"].items()
    )
    return f"{escape(response['description'])}{headers}{shown}"


def _errors(document: JsonObject) -> str:
    """Return what an error of each status means, with an example where there is one."""
    found: dict[str, JsonObject] = {}
    for operation in _operations(document):
        for status, reference in operation["responses"].items():
            if "$ref" in reference:
                response = _resolved(reference, document)
                media = response["content"]["application/json"]
                if status not in found or "example" in media:
                    found[status] = response
    rows = [
        (
            f'<span id="error-{status}">{status}</span>',
            escape(found[status]["description"])
            + _example(found[status]["content"]["application/json"]),
        )
        for status in sorted(found)
    ]
    about = 'Each is an <a href="#schema-Error"><code>Error</code></a>, as application/json.'
    return f"<h2>Errors</h2><p>{about}</p>{_table(rows)}"


def _resolved(reference: JsonObject, document: JsonObject) -> JsonObject:
    response: JsonObject = document["components"]["responses"][reference["$ref"].rpartition("/")[2]]
    return response


def _codes_in(schema: JsonObject) -> list[str]:
    codes: list[str] = schema.get("anyOf", [schema])[0]["allOf"][1]["properties"]["code"]["enum"]
    return codes


def _shapes(document: JsonObject) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        about = escape(schema.get("description", ""))
        yield f'<section id="schema-{name}"><h3><code>{name}</code></h3><p>{about}</p>'
        yield f"{_fields(schema)}</section>"


def _fields(schema: JsonObject) -> str:
    if "properties" not in schema:
        return f"<p>{show_schema(schema)}</p>"
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(name)}</code>{'*' if name in required else ''}",
            f"{escape(each.get('description', ''))} {show_schema(each)}".lstrip(),
        )
        for name, each in schema["properties"].items()
    ]
    return _table(rows)


def _example(media: JsonObject) -> str:
    if "example" not in media:
        return ""
    # A quote needs no escape where it is in no attribute, and an example is full of them.
    text = escape(json.dumps(media["example"], indent=1, ensure_ascii=False), quote=False)
    return f"<details><summary>Example</summary><pre>{text}</pre></details>"


def _table(rows: list[tuple[str, str]]) -> str:
    # HTML lets the ends of cells and rows out, of which there are a thousand.
    cells = (f"<tr><td>{first}<td>{second}" for first, second in rows)
    return f"<table>{''.join(cells)}</table>"
