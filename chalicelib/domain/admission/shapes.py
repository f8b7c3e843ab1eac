"""The declarations as shapes that read JSON, and which of them each kind has."""

import re
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.admission.declarations import DECLARED
from chalicelib.domain.admission.refusals import REFUSED
from chalicelib.domain.admission.scalars import (
    ANYTHING,
    FLAG,
    INT32,
    INT64,
    MODE,
    NUMBER_OR_TEXT,
    QUALIFIED,
    QUANTITY,
    TEXT,
    words,
)
from chalicelib.domain.admission.schema import ListOf, MapOf, Member, Shape, Struct

_SCALARS: Final[dict[str, Shape]] = {
    "": TEXT,
    "any": ANYTHING,
    "bool": FLAG,
    "int32": INT32,
    "int64": INT64,
    "mode": MODE,
    "port": NUMBER_OR_TEXT,
    "qualified": QUALIFIED,
    "quantity": QUANTITY,
    "string": TEXT,
}
_TYPE: Final = re.compile(r"\[(?P<list>\w+)\](?:@(?P<keys>[\w,]+))?|\{(?P<map>\w+)\}")
_built: Final[dict[str, Struct]] = {}


def _struct(name: str) -> Struct:
    if name not in _built:
        _built[name] = _parse(name, DECLARED[name])
    return _built[name]


def _parse(name: str, text: str) -> Struct:
    declared = (word.partition(":") for word in text.split())
    members = {
        field.removesuffix("!"): Member(
            shape=_shape(type_),
            required=field.endswith("!"),
            why_refused=REFUSED[name][field] if type_ == "-" else None,
        )
        for field, _, type_ in declared
    }
    return Struct(name, members)


def _shape(text: str) -> Shape:
    if text == "-":
        return ANYTHING
    if text in _SCALARS:
        return _SCALARS[text]
    if text.startswith("<"):
        return words(*text[1:-1].split("|"))
    match = _TYPE.fullmatch(text)
    if match is None:
        return _struct(text)
    if match["map"]:
        return MapOf(_SCALARS[match["map"]])
    keys = tuple(match["keys"].split(",")) if match["keys"] else ()
    return ListOf(_shape(match["list"]), keys)


def _object(name: str, text: str) -> Struct:
    shown = f"apiVersion kind metadata:ObjectMeta {text}"
    refused = Member(shape=ANYTHING, why_refused=REFUSED["Object"]["status"])
    return Struct(name, {**_parse(name, shown).members, "status": refused})


SHAPES: Final = {
    kinds.CONFIG_MAP: _object("ConfigMap", "binaryData:{string} data:{string} immutable:bool"),
    kinds.CRON_JOB: _object("CronJob", "spec:CronJobSpec"),
    kinds.DEPLOYMENT: _object("Deployment", "spec:DeploymentSpec"),
    kinds.JOB: _object("Job", "spec:JobSpec"),
    kinds.SERVICE: _object("Service", "spec:ServiceSpec"),
}
"""The shape of a manifest of each kind that may be applied."""
