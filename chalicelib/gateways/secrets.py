"""Secrets Manager: the tokens' digests and the kubeconfigs, read with few calls."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from botocore.exceptions import ClientError

from chalicelib.domain.errors import ApiError
from chalicelib.domain.tokens import TokenRecord, parse_token_records
from chalicelib.gateways.aws import AwsClients, aws_errors, error_code

# While tokens cannot be read, nobody gets in; but who guesses must not cost us a call each time.
_FAILURE_SECONDS: Final = 1.0
_SERVICE: Final = "Secrets Manager"
# A secret that is being deleted answers InvalidRequestException; one without a value, NotFound.
_MISSING: Final = frozenset({"ResourceNotFoundException", "InvalidRequestException"})


class Secrets:
    """Reads current secret values."""

    def __init__(self, aws: AwsClients) -> None:
        """Keep the clients; nothing is called yet."""
        self._aws = aws

    def read(self, name: str) -> str | None:
        """Return the secret's current text, or None when it is missing, empty or on its way out."""
        with aws_errors(_SERVICE):
            try:
                answer = self._aws.secretsmanager.get_secret_value(SecretId=name)
            except ClientError as error:
                if error_code(error) not in _MISSING:
                    raise
                return None
        return answer.get("SecretString")


class SecretTokens:
    """The TokenSource of ports.py: one secret, cached, so that a warm request reads none."""

    def __init__(
        self, secrets: Secrets, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember where the tokens are kept; nothing is read yet."""
        self._secrets = secrets
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._records: Sequence[TokenRecord] = ()
        self._read_at: float | None = None
        self._failure: ApiError | None = None
        self._failed_at = 0.0

    def records(self, *, fresher_than_seconds: float) -> Sequence[TokenRecord]:
        """See TokenSource. A missing secret holds no tokens: nobody gets in."""
        with self._lock:
            now = self._clock()
            if self._read_at is None or now - self._read_at >= fresher_than_seconds:
                if self._failure is not None and now < self._failed_at + _FAILURE_SECONDS:
                    raise self._failure
                self._records = self._read()
                self._read_at = now
            return self._records

    def _read(self) -> Sequence[TokenRecord]:
        self._failure = None
        try:
            text = self._secrets.read(self._name)
            return parse_token_records(text) if text else ()
        except ApiError as error:
            self._failure, self._failed_at = error.with_traceback(None), self._clock()
            raise
