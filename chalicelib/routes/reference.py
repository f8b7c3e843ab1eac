"""What the API says of itself: that it is awake, and what it does, for programs and people."""

from typing import Final

from chalicelib.routes.http import Answer, Request
from chalicelib.routes.services import Services

# The page has one style sheet, which is in it, and loads and runs nothing.
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src '{style}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def health(_: Services, __: Request) -> Answer:
    """GET /api/health: say that the API is awake.

    It asks nobody, so that it stays true of itself.
    """
    return Answer({"ok": True})


def openapi(_: Services, request: Request) -> Answer:
    """GET /api/openapi.json: this description, OpenAPI 3.1.

    Its server is what all of the API's paths are below: the place that it was asked of.
    """
    # Here and not above: a cold start must not pay for what it seldom needs.
    from chalicelib.routes.description.document import describe  # noqa: PLC0415

    return Answer({**describe(), "servers": [{"url": _server(request)}]})


def docs(_: Services, __: Request) -> Answer:
    """GET /api/docs: the same description, as a page to read."""
    from chalicelib.routes.description.page import STYLE_HASH, render_page  # noqa: PLC0415

    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _PAGE_POLICY.format(style=STYLE_HASH),
        "Referrer-Policy": "no-referrer",
    }
    return Answer(render_page(), headers=headers)


def _server(request: Request) -> str:
    """Return the URL that this request's path, as the table has it, is below.

    API Gateway says its domain's name, and the path with the stage or the base path in it. What
    stands in for it may not (MiniStack has more before the stage than it tells): there the URL is
    relative to that of the description, as OpenAPI 3.1 has it ("Server Object", url).
    """
    if request.domain_name and request.full_path.endswith(request.route):
        return f"https://{request.domain_name}{request.full_path.removesuffix(request.route)}"
    return request.reference_to("").rstrip("/")
