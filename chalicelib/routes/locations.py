"""Where the API is, as the gateway says it: what its URLs have before the API's own paths.

A REST API's own domain has the stage there, and a custom domain the base path that it maps, if any.
It is read from the request's context: a Host header is whatever the caller wrote.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

# What a stage or a base path is made of: nothing else gets into a header.
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~$-]+")
_LOCATION: Final = "Location"
_API: Final = "/api/"


def base_path_of(route: str, context: Mapping[str, Any], prefix: str = "") -> str:
    """Return what the request's path has before its route's, without a slash at the end.

    context is the event's requestContext. A slash at the end of the path, or two in a row, mean
    nothing. prefix is what the gateway's URLs have before what the event tells; {apiId} in it
    stands for the API's id.
    """
    asked = [each for each in str(context.get("path") or "").split("/") if each]
    wanted = route.strip("/").split("/")
    split = len(asked) - len(wanted)
    if split < 0 or not all(map(_SEGMENT.fullmatch, asked[:split])):
        return ""
    pairs = zip(wanted, asked[split:], strict=True)
    if any(each != said and not each.startswith("{") for each, said in pairs):
        return ""
    before = prefix.replace("{apiId}", str(context.get("apiId") or ""))
    return before + "".join(f"/{each}" for each in asked[:split])


def with_base_path(headers: Mapping[str, str], base_path: str) -> dict[str, str]:
    """Return the headers with the base path in Location, if it is one of the API's paths."""
    location = headers.get(_LOCATION, "")
    if not location.startswith(_API):
        return dict(headers)
    return {**headers, _LOCATION: f"{base_path}{location}"}
