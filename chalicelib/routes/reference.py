"""What the API says of itself: that it is awake, and what it does, for programs and people.

No token is needed, so the answers are made once and any cache on the way may keep them.
"""

import hashlib
import json
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from chalicelib.domain.timestamps import timestamp
from chalicelib.routes.declarations import IF_NONE_MATCH
from chalicelib.routes.http import Answer, Request
from chalicelib.routes.services import Services

# The page has one style sheet, which is in it, and loads and runs nothing.
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src '{style}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEALTHY: Final = "healthy"
# A deployment is seen after five minutes at most.
_DESCRIPTION_SECONDS: Final = 300
_HEALTH_SECONDS: Final = 5


def health(services: Services, request: Request) -> Answer:
    """GET /api/health: say that the API is awake.

    It asks nobody, so that it stays true of itself.
    """
    body = {"ok": True, "status": _HEALTHY, "timestamp": timestamp(services.now())}
    return _cacheable(request, Answer(body), tag=_HEALTHY, seconds=_HEALTH_SECONDS)


def openapi(_: Services, request: Request) -> Answer:
    """GET /api/openapi.json: this description, OpenAPI 3.1.

    Its server is what all of the API's paths are below: the place that it was asked of.
    """
    text, tag = _description(_server(request))
    return _cacheable(request, Answer(text), tag=tag, seconds=_DESCRIPTION_SECONDS)


def docs(_: Services, request: Request) -> Answer:
    """GET /api/docs: the same description, as a page to read."""
    from chalicelib.routes.description.page import STYLE_HASH, render_page  # noqa: PLC0415

    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _PAGE_POLICY.format(style=STYLE_HASH),
        "Referrer-Policy": "no-referrer",
    }
    page = Answer(render_page(), headers=headers)
    return _cacheable(request, page, tag=_digest(page.text()), seconds=_DESCRIPTION_SECONDS)


def _cacheable(request: Request, answer: Answer, *, tag: str, seconds: int) -> Answer:
    """Return the answer as one that may be kept, or 304 to a caller that has it.

    The tag is weak: API Gateway compresses an answer, and a health says another time.
    """
    kept = {
        "ETag": f'W/"{tag}"',
        "Cache-Control": f"public, max-age={seconds}",
        "Vary": "Accept-Encoding",
    }
    # Compared weakly: RFC 9110, section 13.1.2.
    had = {each.removeprefix("W/") for each in request.get(IF_NONE_MATCH)}
    if had & {f'"{tag}"', "*"}:
        return Answer("", HTTPStatus.NOT_MODIFIED, kept)
    return Answer(answer.body, answer.status, {**answer.headers, **kept})


@lru_cache(maxsize=8)
def _description(server: str) -> tuple[str, str]:
    # Here and not above: a cold start must not pay for what it seldom needs.
    from chalicelib.routes.description.document import describe  # noqa: PLC0415 - read by few

    document = {**describe(), "servers": [{"url": server}]}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text, _digest(text)


@lru_cache(maxsize=8)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _server(request: Request) -> str:
    """Return the URL that the API's paths are below.

    API Gateway says its domain's name; what stands in for it may not: then it is a path, which
    OpenAPI 3.1 takes as relative to where the description is ("Server Object", url).
    """
    if request.domain_name:
        return f"https://{request.domain_name}{request.base_path}"
    return request.base_path or "/"
