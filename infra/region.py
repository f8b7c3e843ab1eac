"""The region that commands work in, by either of its two names."""

from __future__ import annotations

import os


def adopt_region() -> None:
    """Have boto3 and the AWS CLI take AWS_REGION, which other SDKs read, for AWS_DEFAULT_REGION.

    boto3 knows the second name only, and version 1 of the CLI too. Where both are set,
    AWS_DEFAULT_REGION counts, as before. Safe to repeat.
    """
    if region := os.environ.get("AWS_REGION"):
        os.environ.setdefault("AWS_DEFAULT_REGION", region)
