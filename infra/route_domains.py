"""Print the ConfigMap that tells a cluster which domains friends' routes may be on.

    make route-domains DOMAINS=domains.json

The admission policy friend-api-routes (infra/cluster/admission-policy.yaml) reads it. It is no part
of infra/cluster, so that applying that again never empties it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chalicelib.domain.domains import parse_domains

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAME: Final = "friend-api-domains"
NAMESPACE: Final = "friends-system"
KEY: Final = "domains"


def build_config_map(domains: Iterable[str]) -> dict[str, Any]:
    """Return the ConfigMap that lets routes be on hosts right below these domains."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "data": {KEY: ",".join(domains)},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ConfigMap of the domains in a file, for `kubectl apply -f -`."""
    parser = argparse.ArgumentParser(prog="python -m infra.route_domains", description=main.__doc__)
    parser.add_argument("domains", type=Path, help="the JSON file that make deploy takes")
    options = parser.parse_args(arguments)
    try:
        domains = parse_domains(options.domains.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"{options.domains}: {error}")
    print(json.dumps(build_config_map(each.name for each in domains), indent=2))  # noqa: T201 (a command's output)


if __name__ == "__main__":
    main()
