"""The embedded default: the packaged application on this machine, deployed as for real.

    python -m infra.local.stack dev     set everything up and run it in the foreground
    python -m infra.local.stack up      the same in the background
    python -m infra.local.stack down    end what either has started

MiniStack stands in for AWS. The cluster and Cloudflare are doubles, unless KUBECONFIG or
CLOUDFLARE_TOKEN name real ones. Nothing is kept: each run starts with an empty table and an empty
workspace. `up` on a stack that runs already deploys what has changed and keeps the data.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.kubeconfig import KubeconfigError
from infra.local.deployment import deploy_changes, deploy_first
from infra.local.processes import ProcessError
from infra.local.services import provide_aws, provide_cloudflare, provide_cluster
from infra.local.state import (
    STATE,
    TEMPORARY,
    Stack,
    StackError,
    forget_stack,
    load_running_stack,
    locked,
    say,
    show,
)
from infra.packaging.commands import PackageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.local.processes import Process


def up() -> None:
    """Make the stack run in the background and write .local/env.

    Nothing is left running when a first set-up fails.
    """
    with locked():
        stack = load_running_stack()
        if stack is None:
            stack = _set_up()
        else:
            say("The stack runs already; deploying what has changed.")
            deploy_changes(stack)
    show(_ready_text(stack.environment))
    say("It runs in the background; `make down` ends it.")


def dev() -> None:
    """Run the stack in the foreground until Ctrl-C, SIGTERM or the end of one of its processes."""
    with locked():
        if load_running_stack() is not None:
            raise StackError("The stack runs already: end it with `make down`.")
        stack = _set_up()
    try:
        show(_ready_text(stack.environment))
        say("Ctrl-C ends it.")
        ended = _wait_for_an_end(stack)
    except KeyboardInterrupt:
        say("Ending it.")
    else:
        raise StackError(f"{ended.name} has ended, so the stack ends; its log is {ended.log}.")
    finally:
        _forget_undisturbed()


def down() -> None:
    """End the stack. Safe to repeat."""
    with locked():
        forget_stack()
    show("The local stack is down.")


def _set_up() -> Stack:
    forget_stack()
    TEMPORARY.mkdir(parents=True, exist_ok=True)
    stack = Stack()
    try:
        provide_cluster(stack)
        provide_cloudflare(stack)
        provide_aws(stack)
        deploy_first(stack)
        stack.save_environment()
    except BaseException:
        _forget_undisturbed()
        raise
    return stack


def _forget_undisturbed() -> None:
    """End the stack; a second Ctrl-C must not leave processes behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    forget_stack()


def _wait_for_an_end(stack: Stack) -> Process:
    """Return the first process of the stack that ends."""
    while True:
        for process in stack.running:
            if not process.is_alive():
                return process
        time.sleep(0.5)


def _ready_text(environment: Mapping[str, str]) -> str:
    url, admin, agent = (environment[name] for name in ("API_URL", "ADMIN_TOKEN", "AGENT_TOKEN"))
    alice = json.dumps({"id": "alice", "display_name": "Alice"})
    workspace = f"{environment['AWS_ENDPOINT_URL']}/{environment['WORKSPACE_BUCKET']}"
    login = f"-H 'Authorization: Bearer {agent}'"
    return f"""
Friends API   {url}
admin token   {admin}
agent token   {agent}   (agent {environment["AGENT_ID"]})
environment   set -a; . .local/env; set +a
logs          .local/*.log

Register alice, look at her namespace, read her profile.json in the workspace:

  curl -sX POST {url}/api/friends {login} -H 'Content-Type: application/json' -d '{alice}'; echo
  curl -s {url}/api/friends/alice/namespace/status {login}; echo
  curl -s {workspace}/friends/alice/profile.json
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the Friends API on this machine."""
    commands = {"dev": dev, "up": up, "down": down}
    parser = argparse.ArgumentParser(prog="python -m infra.local.stack", description=main.__doc__)
    parser.add_argument("command", choices=commands)
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        commands[options.command]()
    except KeyboardInterrupt:
        return 130
    except (StackError, ProcessError, PackageError, KubeconfigError) as error:
        return _fail(str(error))
    except (BotoCoreError, ClientError, OSError) as error:
        return _fail(f"{error} The logs are in {STATE}.")
    return 0


def _fail(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)  # noqa: T201 - the error
    return 1


if __name__ == "__main__":
    sys.exit(main())
