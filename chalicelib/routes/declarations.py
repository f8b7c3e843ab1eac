"""Parameters that several routes share, and the builders of those that only one has."""

import re
from collections.abc import Callable
from typing import Final

from chalicelib.domain.fields import AGENT_ID_RULE, FRIEND_ID_RULE
from chalicelib.domain.rules import Rule, pattern
from chalicelib.routes.parameters import Parameter, Place

_OBJECT_NAME: Final = re.compile(r"(?!.*\.\.)[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_WHOLE_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,63}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_TAG: Final = r'(?:W/)?"[\x21\x23-\x2b\x2d-\x7e]*"'
_TAGS: Final = re.compile(rf"\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")
# One that is never closed takes the rest along: each part is optional, so nothing is read twice.
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.?)*"?')


def path_text(name: str, rule: Rule, description: str) -> Parameter[str]:
    """Return a part of the path."""
    return Parameter(name, Place.PATH, rule, description, str, "", required=True)


def query_text(name: str, rule: Rule, description: str) -> Parameter[str | None]:
    """Return a query parameter that is text."""
    return Parameter(name, Place.QUERY, rule, description, str, None)


def flag(name: str, description: str) -> Parameter[bool]:
    """Return a query parameter that is true or false; false when it is absent."""
    rule = Rule(_flag_fault, {"type": "boolean", "default": False})
    return Parameter(name, Place.QUERY, rule, description, "true".__eq__, default=False)


def whole_number(
    name: str, description: str, *, least: int = 1, most: int | None = None
) -> Parameter[int | None]:
    """Return a query parameter that is a whole number, in plain ASCII digits."""
    limits = f"from {least}" if most is None else f"from {least} to {most}"

    def fault_of(text: str) -> str | None:
        number = int(text) if _WHOLE_NUMBER.fullmatch(text) else least - 1
        is_within = least <= number and (most is None or number <= most)
        return None if is_within else f"must be a whole number {limits}."

    bounds = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    rule = Rule(fault_of, {"type": "integer", **bounds})
    return Parameter(name, Place.QUERY, rule, description, int, None)


def matching(regex: re.Pattern[str], message: str, **more: object) -> Rule:
    """Return the rule of text that matches this expression as a whole; message says what it is."""
    return Rule(_mismatch(regex, message), pattern(regex, **more))


def _mismatch(regex: re.Pattern[str], message: str) -> Callable[[str], str | None]:
    return lambda text: None if regex.fullmatch(text) else message


def _flag_fault(text: str) -> str | None:
    return None if text in {"true", "false"} else "must be true or false."


def _tags_in(text: str) -> frozenset[str]:
    return frozenset(tag.strip() for tag in text.split(","))


def _wishes_in(text: str) -> frozenset[str]:
    said = _QUOTED.sub('""', text)
    wishes = (wish.split(";")[0].replace('=""', "").strip().lower() for wish in said.split(","))
    return frozenset(wishes)


OBJECT_NAME: Final = matching(
    _OBJECT_NAME,
    "must be 1 to 253 lower-case letters, digits, hyphens and dots, "
    "with a letter or digit at both ends.",
)

FRIEND_ID: Final = path_text("id", FRIEND_ID_RULE, "The friend's id.")
AGENT_ID: Final = path_text("agent_id", AGENT_ID_RULE, "The agent's id: that of its tokens.")
DRY_RUN: Final = flag("dry_run", "Judge and answer as usual, and change nothing.")
IDEMPOTENCY_KEY: Final = Parameter[str | None](
    "Idempotency-Key",
    Place.HEADER,
    matching(_IDEMPOTENCY_KEY, "must be 1 to 255 visible ASCII characters."),
    "Any text of your own. For 24 hours the same request with it gets the first answer again.",
    str,
    None,
)
# Weak tags are well-formed, and never match.
IF_MATCH: Final = Parameter[frozenset[str] | None](
    "If-Match",
    Place.HEADER,
    matching(_TAGS, 'must be an ETag in double quotes, or "*".'),
    "Change only what still has this ETag; else 412.",
    _tags_in,
    None,
)
# A cache's own word, not a client's wish: what is no tag matches nothing.
IF_NONE_MATCH: Final = Parameter[frozenset[str]](
    "If-None-Match",
    Place.HEADER,
    Rule(lambda _: None, {"type": "string"}),
    "The ETag of the answer that the caller has: 304 while that is current.",
    _tags_in,
    frozenset(),
    joined=True,
)
RESPOND_ASYNC: Final = "respond-async"
PREFER: Final = Parameter[frozenset[str]](
    "Prefer",
    Place.HEADER,
    Rule(lambda _: None, {"type": "string", "examples": [RESPOND_ASYNC]}),
    "respond-async: answer 202 at once (RFC 7240). Other preferences are ignored.",
    _wishes_in,
    frozenset(),
    joined=True,
)
