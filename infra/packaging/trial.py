"""Try the unpacked bundle as Lambda runs it: python -I -S trial.py TASK RUNTIME.

Run by the bundle's own Python, beside what Lambda has and nothing else: whatever the bundle lacks
is missed here, where this repository's own environment is out of reach. Only the standard library
is at hand.
"""

from __future__ import annotations

import sys
from typing import Any


class _Context:
    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 29_000


def _event(path: str) -> dict[str, Any]:
    return {
        "path": path,
        "httpMethod": "GET",
        "headers": {},
        "multiValueHeaders": {},
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"resourcePath": path, "httpMethod": "GET", "path": path},
        "body": None,
        "isBase64Encoded": False,
    }


def main() -> None:
    """Import the application, answer two requests, and load what a cluster route loads."""
    sys.path += sys.argv[1:]
    import app  # noqa: PLC0415 - from the bundle

    for path, expected in (("/api/health", 200), ("/api/friends", 401)):
        status = app.app(_event(path), _Context())["statusCode"]
        if status != expected:
            sys.exit(f"GET {path} answered {status}, not {expected}.")
    loaded = sorted({"kubernetes", "requests", "yaml"} & set(sys.modules))
    if loaded:
        sys.exit(f"A route without a cluster has loaded {', '.join(loaded)}.")
    import requests  # noqa: F401, PLC0415 - from the bundle
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415 - from the bundle
    from kubernetes.dynamic import DynamicClient  # noqa: PLC0415 - from the bundle

    from chalicelib.gateways import kubeconfig, tls  # noqa: F401, PLC0415 - from the bundle

    DynamicClient(ApiClient(Configuration(host="https://cluster")), discoverer=lambda *_: None)


if __name__ == "__main__":
    main()
