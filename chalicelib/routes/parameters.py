"""What a request may carry beside its body: declared once, checked before any view runs.

A route's row names its parameters; the API's description is made of the same declarations.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from chalicelib.domain.errors import LONGEST_ECHO, Fault, InvalidInput
from chalicelib.domain.rules import Rule

T_co = TypeVar("T_co", covariant=True)


class Place(StrEnum):
    """Where a parameter is, in OpenAPI's words."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"


@dataclass(frozen=True)
class Parameter(Generic[T_co]):
    """One parameter. convert is given only text that the rule finds nothing wrong with.

    default is its value where it is absent. joined: a header that may come several times, which
    means the same as once with commas (RFC 9110, section 5.3).
    """

    name: str
    place: Place
    rule: Rule
    description: str
    convert: Callable[[str], T_co]
    default: T_co
    required: bool = False
    joined: bool = False

    def fault(self, message: str) -> Fault:
        """Return a fault of this parameter; message comes after its name."""
        if self.place is Place.PATH:
            return Fault(f"path:{self.name}", f"The {self.name} in the path {message}")
        prefix = "?" if self.place is Place.QUERY else ""
        return Fault(f"{prefix}{self.name}", f"{self.name} {message}")


Values = Mapping[str, Any]
"""The parameters' values by name, each of its parameter's type."""


@dataclass(frozen=True)
class Sent:
    """Where parameters are read from, as API Gateway decoded it. Headers by lower-case name."""

    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, Sequence[str]]

    def texts_of(self, parameter: Parameter[object]) -> Sequence[str]:
        """Return each text that the parameter was given."""
        if parameter.place is Place.PATH:
            return [self.path[parameter.name]]
        if parameter.place is Place.QUERY:
            return self.query.get(parameter.name, ())
        texts = self.headers.get(parameter.name.lower(), ())
        return [",".join(texts)] if parameter.joined and texts else texts


def read_parameters(declared: Sequence[Parameter[object]], sent: Sent) -> Values:
    """Return the parameters' values. Raises InvalidInput with every fault.

    A query parameter that is not declared is one: a misspelt dry_run that is ignored is a change
    that nobody wanted. Headers that are not declared are ignored, as everywhere.
    """
    values: dict[str, object] = {}
    faults: list[Fault] = []
    for parameter in declared:
        found = _read(parameter, sent.texts_of(parameter))
        if isinstance(found, Fault):
            faults.append(found)
        else:
            values[parameter.name] = found
    faults += _unknown(declared, sent.query)
    if faults:
        raise InvalidInput(faults[0].message, faults=tuple(faults))
    return values


def _read(parameter: Parameter[object], texts: Sequence[str]) -> object:
    if not texts:
        if parameter.required:
            return parameter.fault(f"is required: {parameter.description}")
        return parameter.default
    if len(texts) > 1:
        verb = "given" if parameter.place is Place.QUERY else "sent"
        return parameter.fault(f"may be {verb} once.")
    fault = parameter.rule.fault_of(texts[0])
    return parameter.convert(texts[0]) if fault is None else parameter.fault(fault)


def _unknown(declared: Sequence[Parameter[object]], query: Mapping[str, object]) -> list[Fault]:
    known = [each.name for each in declared if each.place is Place.QUERY]
    listed = ", ".join(known) or "none"
    names = [name[:LONGEST_ECHO] for name in query if name not in known]
    return [
        Fault(f"?{name}", f"The parameter {name!r} is not known here. Known: {listed}.")
        for name in names
    ]
