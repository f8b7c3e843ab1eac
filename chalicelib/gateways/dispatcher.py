"""Asynchronous invocations of the pure Lambdas. They carry ids, never a manifest."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from chalicelib.domain.model import JsonObject
from chalicelib.gateways.aws import AwsClients, aws_errors

_SERVICE: Final = "Lambda"


class LambdaDispatcher:
    """The Dispatcher of ports.py."""

    def __init__(self, aws: AwsClients, *, run_operation: str, reconcile: str) -> None:
        """Keep the clients and the functions' names; nothing is called yet."""
        self._aws = aws
        self._run_operation = run_operation
        self._reconcile = reconcile

    def dispatch(self, friend_id: str, identifier: str) -> None:
        """See Dispatcher. Lambda delivers at least once, and repeats what fails twice."""
        event = {"friend_id": friend_id, "operation_id": identifier}
        self._invoke(self._run_operation, event)

    def dispatch_work(self, work: Mapping[str, Sequence[str]]) -> None:
        """See Dispatcher."""
        self._invoke(self._reconcile, {"friends": {each: list(work[each]) for each in work}})

    def _invoke(self, function_name: str, event: JsonObject) -> None:
        with aws_errors(_SERVICE):
            self._aws.lambda_.invoke(
                FunctionName=function_name,
                InvocationType="Event",
                Payload=json.dumps(event).encode(),
            )
