"""Server-side apply: who owns which field, what an apply changes, and whom it collides with.

A field is named by its path in managedFields: ("f:data", "f:k"), or for an item of a keyed list
("f:ports", 'k:{"port":80,"protocol":"TCP"}'). The rules are those of
kubernetes.io/docs/reference/using-api/server-side-apply: what a manager applied and no longer
applies is removed, unless another manager owns it too.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from infra.local.kube_objects import Json, Kind, Obj, Refused, timestamp
from infra.local.kube_schema import (
    SCHEMAS,
    Problem,
    Schema,
    find_problems,
    key_text,
    typed_path,
)

Path: TypeAlias = tuple[str, ...]
Paths: TypeAlias = frozenset[Path]

_MISSING: Final = object()
_KEY_DEFAULTS: Final = {"protocol": "TCP"}
# Nobody owns what identifies an object, nor what the server itself writes.
_UNOWNED: Final = frozenset({"apiVersion", "kind", "status"})
_UNOWNED_METADATA: Final = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    }
)


class Manager(NamedTuple):
    """Whoever writes: the same name applying and updating counts as two managers."""

    name: str
    operation: str


Owners: TypeAlias = dict[Manager, Paths]

# Who owns the fields of an object whose owners were never written down.
_BEFORE_FIRST_APPLY: Final = Manager("before-first-apply", "Update")


def check_typed(applied: Obj, kind: Kind) -> None:
    """Refuse a configuration that does not fit the schema, with the 500 of the real server."""
    schema = SCHEMAS[kind]
    texts = [_problem_text(applied, schema, problem) for problem in find_problems(applied, schema)]
    texts = texts or _duplicates(applied, schema, "")
    if not texts:
        return
    text = texts[0] if len(texts) == 1 else "errors:\n" + "\n".join(f"  {t}" for t in texts)
    metadata = applied.get("metadata")
    said = metadata if isinstance(metadata, dict) else {}
    name, namespace = said.get("name", ""), said.get("namespace", "")
    subject = f"{namespace}/{name}; {kind.api_version}, Kind={kind.name}"
    if not kind.group:
        subject = f"{namespace}/{name}; /{kind.version}, Kind={kind.name}"
    raise Refused(500, "", f"failed to create typed patch object ({subject}): {text}")


def merge(live: Json, applied: Json, schema: Schema) -> Json:
    """Return applied laid over live: structs and keyed lists merge, the rest is replaced."""
    if isinstance(live, dict) and isinstance(applied, dict) and not schema.atomic:
        merged = dict(live)
        for name, value in applied.items():
            merged[name] = merge(live.get(name), value, _schema_of(schema, name))
        return merged
    if schema.keys and isinstance(live, list) and isinstance(applied, list) and schema.item:
        return _merge_items(live, applied, schema, schema.item)
    return applied


def _merge_items(live: list[Obj], applied: list[Obj], schema: Schema, item: Schema) -> list[Obj]:
    """Merge keyed lists in the applied order; what is only live stays where it stood before it."""
    old = {_item_key(one, schema): one for one in live}
    new = {_item_key(one, schema): one for one in applied}
    shared = iter([key for key in new if key in old])
    next_shared = next(shared, None)
    waiting = list(old)
    merged: list[Obj] = []
    for key, one in new.items():
        while waiting and waiting[0] != key and waiting[0] != next_shared:
            first = waiting.pop(0)
            if first not in new:
                merged.append(old[first])
        if waiting[:1] == [key]:
            waiting.pop(0)
        merged.append(merge(old.get(key), one, item))
        if key == next_shared:
            next_shared = next(shared, None)
    return merged + [old[key] for key in waiting if key not in new]


def plan_apply(live: Obj, applied: Obj, kind: Kind, manager: str, *, force: bool) -> Obj:
    """Return what the live object becomes when the manager applies this configuration.

    Raises Refused (409) when another manager owns a field that would change and force is not set.
    """
    schema = SCHEMAS[kind]
    me = Manager(manager, "Apply")
    owners = read_owners(live) or {_BEFORE_FIRST_APPLY: field_paths(live, schema)}
    wanted = field_paths(applied, schema)
    others = {who: paths for who, paths in owners.items() if who != me}
    taken = _collisions(live, applied, wanted, others, schema)
    if taken and not force:
        raise _apply_conflict(taken, kind)
    others = {who: paths - taken.get(who, frozenset()) for who, paths in others.items()}
    merged = merge(live, applied, schema)
    kept = wanted.union(*others.values())
    dropped = _with_structs(owners.get(me, frozenset()), schema) - _holding(kept, schema)
    # The shallowest first: a removed struct takes its defaulted fields with it.
    for path in sorted(dropped, key=len):
        merged = _without(merged, path, schema)
    others = {who: _outside(paths, dropped) for who, paths in others.items()}
    return with_owners(merged, others | {me: wanted}, live, kind)


def record_update(live: Obj | None, new: Obj, kind: Kind, manager: str) -> Obj:
    """Return the new object with its fields' owners after a plain create, update or patch."""
    schema = SCHEMAS[kind]
    if live is not None and not live["metadata"].get("managedFields"):
        # Owners are not written down from the middle of an object's life.
        return new
    me = Manager(manager, "Update")
    before = live or {}
    owners = read_owners(before)
    old_paths, new_paths = field_paths(before, schema), field_paths(new, schema)
    changed = frozenset(
        path
        for path in new_paths
        if path not in old_paths or _value_at(before, path, schema) != _value_at(new, path, schema)
    )
    lost = changed | (old_paths - new_paths)
    others = {who: paths - lost for who, paths in owners.items() if who != me}
    mine = (owners.get(me, frozenset()) & new_paths) | changed
    return with_owners(new, others | {me: mine}, before, kind)


def read_owners(obj: Obj) -> Owners:
    """Return who owns what, as the object's managedFields say."""
    entries = obj.get("metadata", {}).get("managedFields", ())
    return {
        Manager(entry["manager"], entry["operation"]): frozenset(_decode(entry["fieldsV1"], ()))
        for entry in entries
    }


def field_paths(obj: Obj, schema: Schema) -> Paths:
    """Return the paths of everything an object's author may own."""
    body = {name: value for name, value in obj.items() if name not in _UNOWNED}
    metadata = obj.get("metadata", {})
    body["metadata"] = {n: v for n, v in metadata.items() if n not in _UNOWNED_METADATA}
    if not body["metadata"]:
        del body["metadata"]
    return frozenset(_walk(body, schema, ())) - {()}


def _walk(value: Json, schema: Schema, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and value and not schema.atomic:
        if schema.type == "open":
            yield path
        for name, item in value.items():
            yield from _walk(item, _schema_of(schema, name), (*path, f"f:{name}"))
    elif schema.keys and schema.item:
        for item in value or ():
            item_path = (*path, _item_key(item, schema))
            yield item_path
            if not schema.item.atomic:
                yield from _walk(item, schema.item, item_path)
    else:
        yield path


def _schema_of(schema: Schema, name: str) -> Schema:
    if schema.type == "open":
        return schema
    found = schema.item if schema.type == "map" else schema.fields.get(name)
    return found or Schema()


def _item_key(item: Obj, schema: Schema) -> str:
    values = {name: item.get(name, _KEY_DEFAULTS.get(name)) for name in sorted(schema.keys)}
    given = {name: value for name, value in values.items() if value is not None}
    return "k:" + json.dumps(given, separators=(",", ":"))


def _value_at(obj: Json, path: Path, schema: Schema) -> Json:
    value = obj
    for step in path:
        if step.startswith("k:"):
            items = {_item_key(item, schema): item for item in value}
            value, schema = items.get(step, _MISSING), schema.item or Schema()
        else:
            value = value.get(step[2:], _MISSING) if isinstance(value, dict) else _MISSING
            schema = _schema_of(schema, step[2:])
        if value is _MISSING:
            return _MISSING
    # An item, or a map without a schema, stands for its being there: its parts have own paths.
    is_holder = path[-1].startswith("k:") or (schema.type == "open" and bool(value))
    return None if is_holder and isinstance(value, dict) and not schema.atomic else value


def _collisions(
    live: Obj, applied: Obj, wanted: Paths, others: Owners, schema: Schema
) -> dict[Manager, Paths]:
    changed = {
        path for path in wanted if _value_at(live, path, schema) != _value_at(applied, path, schema)
    }
    found = {who: frozenset(paths & changed) for who, paths in others.items()}
    return {who: paths for who, paths in found.items() if paths}


def _apply_conflict(taken: dict[Manager, Paths], kind: Kind) -> Refused:
    causes: list[dict[str, str]] = []
    for who, paths in sorted(taken.items()):
        using = "" if who.operation == "Apply" else f" using {kind.api_version}"
        causes += [
            {
                "reason": "FieldManagerConflict",
                "message": f'conflict with "{who.name}"{using}',
                "field": _shown(path),
            }
            for path in sorted(paths, key=_listing_order)
        ]
    if len(causes) == 1:
        text = f"1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        text = f"{len(causes)} conflicts: {_listed(causes)}"
    return Refused(409, "Conflict", f"Apply failed with {text}", {"causes": causes})


def _listing_order(path: Path) -> list[tuple[bool, str]]:
    """Order paths as the real server lists them: at each depth the fields, then what is inside."""
    return [(depth < len(path), step) for depth, step in enumerate(path, start=1)]


def _listed(causes: list[dict[str, str]]) -> str:
    by_message: dict[str, list[str]] = {}
    for cause in causes:
        message = cause["message"].replace("conflict ", "conflicts ", 1)
        by_message.setdefault(message, []).append(cause["field"])
    blocks = ["\n- ".join([f"{message}:", *fields]) for message, fields in by_message.items()]
    return "\n".join(blocks)


def _shown(path: Path) -> str:
    text = ""
    for step in path:
        if step.startswith("k:"):
            item = json.loads(step[2:])
            text += key_text(item, tuple(item))
        else:
            text += f".{step[2:]}"
    return text


def _with_structs(paths: Paths, schema: Schema) -> set[Path]:
    """Add the structs that the paths lie in; a free map stays when its last owned key goes."""
    return set(paths) | {above for path in paths for above in _above(path, schema, {"struct"})}


def _holding(paths: Paths, schema: Schema) -> set[Path]:
    """Add what the paths keep alive: structs and maps.

    A list's item, or a map without a schema, is not among it: whoever alone owns it as such takes
    along what others own inside.
    """
    return set(paths) | {
        above for path in paths for above in _above(path, schema, {"struct", "map"})
    }


def _above(path: Path, schema: Schema, types: set[str]) -> Iterator[Path]:
    """Yield the paths of these types above a path; what every object has never goes."""
    current = schema
    for depth, step in enumerate(path[:-1], start=1):
        is_item = step.startswith("k:")
        current = (current.item or Schema()) if is_item else _schema_of(current, step[2:])
        if current.type in types and depth > 1 and not is_item:
            yield path[:depth]


def _outside(paths: Paths, dropped: set[Path]) -> Paths:
    return frozenset(
        path
        for path in paths
        if not any(path[:depth] in dropped for depth in range(1, len(path) + 1))
    )


def _without(value: Json, path: Path, schema: Schema) -> Json:
    """Return the value without what lies at the path, if anything does."""
    step, rest = path[0], path[1:]
    if step.startswith("k:"):
        item = schema.item or Schema()
        kept = []
        for one in value:
            if _item_key(one, schema) != step:
                kept.append(one)
            elif rest:
                kept.append(_without(one, rest, item))
        return kept
    name = step[2:]
    if not isinstance(value, dict) or name not in value:
        return value
    if rest:
        return {**value, name: _without(value[name], rest, _schema_of(schema, name))}
    return {key: one for key, one in value.items() if key != name}


def with_owners(obj: Obj, owners: Owners, live: Obj, kind: Kind) -> Obj:
    """Return the object with these owners; an entry whose fields stay keeps its time."""
    previous = {
        Manager(entry["manager"], entry["operation"]): entry
        for entry in live.get("metadata", {}).get("managedFields", ())
    }
    entries = []
    for who, paths in owners.items():
        if not paths:
            continue
        fields = _encode(paths)
        old = previous.get(who)
        if old is not None and old["fieldsV1"] == fields:
            entries.append(old)
        else:
            entries.append(
                {
                    "manager": who.name,
                    "operation": who.operation,
                    "apiVersion": kind.api_version,
                    "time": timestamp(),
                    "fieldsType": "FieldsV1",
                    "fieldsV1": fields,
                }
            )
    entries.sort(key=lambda entry: (entry["operation"], entry["manager"]))
    metadata = {n: v for n, v in obj["metadata"].items() if n != "managedFields"}
    return {**obj, "metadata": metadata | ({"managedFields": entries} if entries else {})}


def dated(obj: Obj, who: Manager) -> Obj:
    """Return the object with the manager's entry dated now."""
    entries = [
        {**entry, "time": timestamp()}
        if (entry["manager"], entry["operation"]) == (who.name, who.operation)
        else entry
        for entry in obj["metadata"].get("managedFields", ())
    ]
    return {**obj, "metadata": {**obj["metadata"], "managedFields": entries}}


def _encode(paths: Paths) -> Obj:
    root: Obj = {}
    for path in sorted(paths):
        node = root
        for step in path:
            node = node.setdefault(step, {})
    for path in paths:
        node = root
        for step in path:
            node = node[step]
        if node:
            node["."] = {}
    return root


def _decode(fields: Mapping[str, Json], path: Path) -> Iterator[Path]:
    if not fields and path:
        yield path
    for step, below in fields.items():
        if step == ".":
            yield path
        else:
            yield from _decode(below, (*path, step))


def _problem_text(applied: Obj, schema: Schema, problem: Problem) -> str:
    where = typed_path(applied, schema, problem.path)
    if not problem.wanted:
        return f"{where}: field not declared in schema"
    if problem.wanted == "integer":
        return f"{where}: expected numeric (int or float), got {_go_type(problem.value)}"
    wanted = {"keyed": "list", "struct": "map", "quantity": "string"}.get(
        problem.wanted, problem.wanted
    )
    return f"{where}: expected {wanted}, got {_go_type(problem.value)}"


def _go_type(value: object) -> str:
    names = {str: "string", bool: "boolean", list: "list", dict: "map"}
    shown = json.dumps(value)
    # The real server prints Go values here; nobody should read more than the path.
    return names.get(type(value), f"&value.valueUnstructured{{Value:{shown}}}")


def _duplicates(value: Json, schema: Schema, where: str) -> list[str]:
    found: list[str] = []
    if schema.keys and isinstance(value, list):
        seen: set[str] = set()
        for item in value:
            key = _item_key(item, schema) if isinstance(item, dict) else ""
            if key in seen:
                found.append(f"{where}: duplicate entries for key {key_text(item, schema.keys)}")
            seen.add(key)
            found += _duplicates(item, schema.item or Schema(), where + key_text(item, schema.keys))
    elif isinstance(value, dict) and schema.type == "struct":
        for name, item in value.items():
            found += _duplicates(item, _schema_of(schema, name), f"{where}.{name}")
    return found
