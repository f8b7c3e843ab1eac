"""Asynchronous invocations of the run_operation Lambda. They carry ids, never a manifest."""

import json
from typing import Final

from chalicelib.gateways.aws import AwsClients, aws_errors

_SERVICE: Final = "Lambda"


class LambdaDispatcher:
    """The Dispatcher of ports.py."""

    def __init__(self, aws: AwsClients, function_name: str) -> None:
        """Keep the clients; nothing is called yet."""
        self._aws = aws
        self._function_name = function_name

    def dispatch(self, friend_id: str, identifier: str) -> None:
        """See Dispatcher. Lambda delivers at least once, and repeats what fails twice."""
        event = {"friend_id": friend_id, "operation_id": identifier}
        with aws_errors(_SERVICE):
            self._aws.lambda_.invoke(
                FunctionName=self._function_name,
                InvocationType="Event",
                Payload=json.dumps(event).encode(),
            )
