"""What each outside system answers in each mode, as the gateways get to see it."""

import re
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError
from botocore.exceptions import ReadTimeoutError as AwsTimeoutError
from requests.exceptions import ReadTimeout
from urllib3.exceptions import ReadTimeoutError as ClusterTimeoutError

from chalicelib.gateways.seam import Outgoing
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from infra.local.wire import Wire
from tests.faults.modes import CLOUDFLARE, CLUSTER, Mode, is_aws
from tests.world import World

_STATUSES: Final = {Mode.THROTTLED: 429, Mode.OUTAGE: 429, Mode.UNAVAILABLE: 503}
_EVER: Final = 1_000_000
_TAKEN: Final = 81058

# Source: each operation's errors in the API references of DynamoDB, S3, Lambda, Secrets Manager.
_AWS_CODES: Final[Mapping[tuple[str, Mode], tuple[str, int]]] = {
    ("dynamodb", Mode.CONFLICT): ("TransactionConflictException", 400),
    ("s3", Mode.CONFLICT): ("ConditionalRequestConflict", 409),
    ("s3", Mode.THROTTLED): ("SlowDown", 503),
    ("lambda", Mode.THROTTLED): ("TooManyRequestsException", 429),
}
_USUAL_AWS_CODES: Final = {
    Mode.THROTTLED: ("ThrottlingException", 400),
    Mode.UNAVAILABLE: ("InternalServerError", 500),
}


def aws_error(outgoing: Outgoing, mode: Mode) -> ClientError:
    """Return what botocore raises."""
    mode = Mode.THROTTLED if mode is Mode.OUTAGE else mode
    code, status = _AWS_CODES.get((outgoing.system, mode)) or _USUAL_AWS_CODES[mode]
    response: Any = {"ResponseMetadata": {"HTTPStatusCode": status}}
    if (outgoing.name, mode) == ("transact_write_items", Mode.CONFLICT):
        code = "TransactionCanceledException"
        response["CancellationReasons"] = [{"Code": "TransactionConflict"}]
    response["Error"] = {"Code": code, "Message": "injected"}
    return ClientError(response, outgoing.name)


def timeout_error(outgoing: Outgoing) -> Exception:
    """Return what the transport raises when an answer does not come."""
    if outgoing.system == CLUSTER:
        return ClusterTimeoutError(None, None, "injected")  # type: ignore[arg-type]
    if outgoing.system == CLOUDFLARE:
        return ReadTimeout("injected")
    return AwsTimeoutError(endpoint_url="https://injected.example")


def refuse(world: World, outgoing: Outgoing, mode: Mode) -> None:
    """Have the system refuse this call: AWS at once, the others when the call reaches them.

    An outage lasts, with the other systems until somebody clears their faults.
    """
    if is_aws(outgoing):
        raise aws_error(outgoing, mode)
    double = world.kube if outgoing.system == CLUSTER else world.cloudflare
    if mode is Mode.OUTAGE:
        _fail(double, mode, match="", times=_EVER)
        return
    method, _, path = outgoing.name.partition(" ")
    _fail(double, mode, match=f"^{method} .*{re.escape(path)}$", times=1)


def _fail(double: Wire, mode: Mode, *, match: str, times: int) -> None:
    if mode is not Mode.CONFLICT:
        headers = {"Retry-After": "1"}
        double.fail_next(status=_STATUSES[mode], headers=headers, match=match, times=times)
    elif isinstance(double, ClusterDouble):
        double.fail_next(status=409, match=match)
    elif isinstance(double, CloudflareDouble):
        error = {"code": _TAKEN, "message": "injected"}
        double.fail_next(status=400, body={"success": False, "errors": [error]}, match=match)
