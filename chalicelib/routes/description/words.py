"""The description's sentences that belong to no single route."""

from typing import Final

from chalicelib.domain.model import JsonObject

ABOUT: Final[JsonObject] = {
    "title": "Friends API",
    "version": "1",
    "summary": "What AI agents do for their friends: namespaces, workloads and public names.",
    "description": (
        "Send one header, Authorization: Bearer <token>; a token anywhere else is not read.\n\n"
        "JSON in and out. A change that worked says ok. An error is always error (a sentence that "
        "says what to do next), code (stable), details (every fault, with its place and, where "
        "there is one, the JSON Patch that mends it) and request_id. What may work in a moment "
        "comes with Retry-After. A parameter or field that is not known is refused.\n\n"
        "Link and Location are absolute paths, with the stage or the domain's base path; url in a "
        "body is a path to append to the server's URL (servers). "
        "Answers may gain fields: ignore what you do not know. 500 is always a bug. A path or "
        "method that is not here is answered by the gateway: 404 (route_not_found), 403 or 405."
    ),
}

TAGS: Final = {
    "friends": "Who they are, and who may act for them.",
    "namespaces": "What runs for a friend.",
    "operations": "Work that is applied, followed, and in the end taken down.",
    "exposures": "What of it is on the public web.",
    "reference": "The API itself. No token is needed.",
}

_TEXT: Final = {"type": "string"}
HEADERS: Final[JsonObject] = {
    "Cache-Control": {"description": "How long the answer may be cached.", "schema": _TEXT},
    "Content-Security-Policy": {"description": "The page loads and runs nothing.", "schema": _TEXT},
    "ETag": {
        "description": "The version. Send a friend's in If-Match, any other in If-None-Match.",
        "schema": _TEXT,
    },
    "Idempotency-Replayed": {
        "description": "The answer is that of the first request with this Idempotency-Key.",
        "schema": {"const": "true"},
    },
    "Link": {
        "description": 'The next page: </prod/api/friends?...>; rel="next". Absent on the last.',
        "schema": _TEXT,
    },
    "Location": {
        "description": "The path of what was created: an absolute path, with the stage.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Preference-Applied": {
        "description": "The preference that was honoured (RFC 7240).",
        "schema": {"const": "respond-async"},
    },
    "Referrer-Policy": {"description": "Links tell nobody where they were.", "schema": _TEXT},
    "Retry-After": {
        "description": "How many seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Vary": {"description": "What else the answer depends on.", "schema": _TEXT},
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"const": "Bearer"}},
    "X-Log-Truncated": {
        "description": "The oldest lines are left out: one answer cannot hold them all.",
        "schema": {"const": "true"},
    },
    "X-Request-Id": {
        "description": "The request's name in the API's logs.",
        "required": True,
        "schema": _TEXT,
    },
}

OTHERWISE: Final = "What the gateway says by itself, without the API."
ERRORS: Final = {
    400: "Malformed, or an invalid field, parameter or path.",
    401: "No valid token. This comes before any other error.",
    403: "Not for this agent.",
    404: "What the request names is not there.",
    409: "Taken, not ours, not there yet, on its way out, or one too many. With Retry-After, it "
    "may work in a moment.",
    412: "The friend does not have an ETag of If-Match any more.",
    413: "The body is over 256 KiB.",
    415: "The body is not plain JSON, in UTF-8.",
    422: "Well-formed, and refused. A manifest's details hold the patches that mend it.",
    429: "Too much is under way. Wait for Retry-After.",
    502: "An upstream answered wrongly.",
    503: "An upstream cannot be reached.",
    504: "The time ran out.",
}
