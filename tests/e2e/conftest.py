"""The end-to-end tests talk to the deployed stack, whose addresses are in the environment."""

import pytest


@pytest.fixture(autouse=True)
def _no_real_aws() -> None:
    """Leave the environment alone: it names MiniStack, not AWS."""
