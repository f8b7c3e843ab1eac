"""What a client learns when it asks the double which kinds it serves; enough for kubectl."""

import functools
from typing import Final

from infra.local import kube_objects as kinds
from infra.local.kube_objects import GROUP_VERSIONS, GROUPS, KINDS, Kind, Obj

# The minor version whose behaviour the double has.
VERSION: Final = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.3",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_VERBS: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discover(path: str) -> Obj | None:
    """Return the document at a discovery path, or None when it is not one."""
    return _documents().get(path.rstrip("/"))


@functools.cache
def _documents() -> dict[str, Obj]:
    documents: dict[str, Obj] = {"/version": dict(VERSION), "/api": _CORE, "/apis": _group_list()}
    documents |= {f"/apis/{name}": _GROUP_TYPE | _group(name) for name in GROUPS}
    for version in GROUP_VERSIONS:
        documents[f"/{_root(version)}"] = _resources(version)
        documents[f"/openapi/v3/{_root(version)}"] = _patches(version)
    documents["/openapi/v3"] = {
        "paths": {
            _root(version): {"serverRelativeURL": f"/openapi/v3/{_root(version)}"}
            for version in GROUP_VERSIONS
        }
    }
    return documents


def _root(group_version: str) -> str:
    return f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"


def _patches(group_version: str) -> Obj:
    """Return so much of the OpenAPI document that kubectl leaves validation to the server."""
    paths = {
        f"/{_root(group_version)}/{kind.plural}/{{name}}": {
            "patch": {
                "parameters": [{"name": "fieldValidation", "in": "query"}],
                "responses": {},
                "x-kubernetes-group-version-kind": {
                    "group": kind.group,
                    "version": kind.version,
                    "kind": kind.name,
                },
            }
        }
        for kind in KINDS
        if kind.api_version == group_version
    }
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths}


_CORE: Final[Obj] = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
_GROUP_TYPE: Final[Obj] = {"kind": "APIGroup", "apiVersion": "v1"}


def _group_list() -> Obj:
    groups = [_group(name) for name in sorted(GROUPS)]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _group(name: str) -> Obj:
    found = sorted({(kind.api_version, kind.version) for kind in KINDS if kind.group == name})
    versions = [{"groupVersion": group_version, "version": v} for group_version, v in found]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resources(group_version: str) -> Obj:
    resources = [_resource(kind) for kind in KINDS if kind.api_version == group_version]
    if group_version == kinds.POD.api_version:
        log = {"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod"}
        resources.append(log | {"verbs": ["get"]})
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }


def _resource(kind: Kind) -> Obj:
    resource = {
        "name": kind.plural,
        "singularName": kind.name.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": _VERBS,
    }
    return resource | ({"shortNames": list(kind.short_names)} if kind.short_names else {})
