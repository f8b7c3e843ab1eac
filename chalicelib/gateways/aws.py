"""The AWS clients, how every call is bounded, and how its failures are named.

botocore alone: boto3 adds nothing that is used here, and a third to the time in which a function
wakes (docs/decisions/0020).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session

from chalicelib.domain.errors import UpstreamFailed, UpstreamUnreachable
from chalicelib.gateways.seam import Seam, SeamedClient
from chalicelib.gateways.service_models import SERVICE_MODELS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

# The one layer that repeats AWS calls: botocore's standard mode backs off with jitter. A service
# that hangs costs a request some 6 s of its 29, and the request ends there.
CLIENT_CONFIG: Final = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=16,
    # us-east-1 like every other region, not by S3's name from before there were others.
    s3={"us_east_1_regional_endpoint": "regional"},
)

_FIRST_SERVER_ERROR: Final = 500
CONDITION_FAILED: Final = "ConditionalCheckFailedException"

_PASSING: Final = frozenset(
    {
        "InternalServerError",
        "InternalServiceError",
        "InternalError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


def error_code(error: ClientError) -> str:
    """Return the code by which AWS names the failure."""
    return str(error.response.get("Error", {}).get("Code", ""))


class AwsClients:
    """The clients, each made once, when it is first used: making one takes longer than a call."""

    def __init__(self, seam: Seam | None = None) -> None:
        """Make nothing yet."""
        self._seam = seam or Seam()
        # A session makes one client at a time; reads that go out side by side may both ask.
        self._lock = threading.RLock()

    @cached_property
    def _session(self) -> Session:
        session = get_session()
        session.register_component("data_loader", SERVICE_MODELS)
        # Nobody here reads a date that AWS names, and a page of a bucket's list holds a thousand.
        parsers = session.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=str)
        return session

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """The DynamoDB client."""
        return cast("DynamoDBClient", self._make("dynamodb"))

    @cached_property
    def s3(self) -> "S3Client":
        """The S3 client."""
        return cast("S3Client", self._make("s3"))

    @cached_property
    def lambda_(self) -> "LambdaClient":
        """The Lambda client."""
        return cast("LambdaClient", self._make("lambda"))

    @cached_property
    def secretsmanager(self) -> "SecretsManagerClient":
        """The Secrets Manager client."""
        return cast("SecretsManagerClient", self._make("secretsmanager"))

    def _make(self, service: str) -> SeamedClient:
        make = cast("Any", self._session.create_client)
        with self._lock:
            return SeamedClient(make(service, config=CLIENT_CONFIG), service, self._seam)


@contextmanager
def aws_errors(service: str) -> Iterator[None]:
    """Turn what botocore raises into our errors. Their messages hold nothing that AWS said."""
    try:
        yield
    except ClientError as error:
        if error_code(error) in _PASSING or _http_status(error) >= _FIRST_SERVER_ERROR:
            msg = f"{service} is busy. Try again."
            raise UpstreamUnreachable(msg, code=f"{_slug(service)}_busy") from error
        msg = f"{service} refused a request of the API. Ask an admin to look at its logs."
        raise UpstreamFailed(msg, code=f"{_slug(service)}_failed") from error
    except (BotoCoreError, ResponseParserError) as error:
        msg = f"{service} cannot be reached. Try again."
        raise UpstreamUnreachable(msg, code=f"{_slug(service)}_unreachable") from error


def _http_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _slug(service: str) -> str:
    return service.lower().replace(" ", "_")
