"""A stage as .chalice/config.json describes it, read with the application's own settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from chalicelib.settings import Settings
from infra.packaging.template import STAND_IN_ENVIRONMENT
from infra.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONFIG: Final = ROOT / ".chalice" / "config.json"
_VARIABLES: Final = "environment_variables"


class StageError(Exception):
    """There is no such stage; the message names those that there are."""


def stack_name(stage: str) -> str:
    """Return the name of the stage's CloudFormation stack."""
    return f"friends-api-{stage}"


def load_settings(stage: str, parameters: Mapping[str, str]) -> Settings:
    """Return the settings of the stage's API, with the stack's parameters filled in.

    What only the deployed stack knows, such as its table's name, is a stand-in. Raises StageError
    and SettingsError.
    """
    config: dict[str, Any] = json.loads(_CONFIG.read_text())
    if stage not in config["stages"]:
        raise StageError(f"There is no stage {stage}; .chalice/config.json has: {_names(config)}.")
    function = config["stages"][stage]["lambda_functions"]["api_handler"]
    variables = {
        "DOMAINS": parameters.get("Domains", "[]"),
        "CLOUDFLARE_URL": parameters.get("CloudflareUrl", ""),
    }
    return Settings.from_env(
        {
            **STAND_IN_ENVIRONMENT,
            **config[_VARIABLES],
            **config["stages"][stage].get(_VARIABLES, {}),
            **function.get(_VARIABLES, {}),
            **variables,
        }
    )


def _names(config: Mapping[str, Any]) -> str:
    return ", ".join(config["stages"])
