"""The command line: a control plane for one command, or one that stays up until it is taken down.

`python -m infra.controlplane` with

- `run -- COMMAND`: run COMMAND against a fresh control plane, end that, exit as COMMAND did
- `up`: leave a control plane running and print the environment that reaches it
- `down`: end the one that `up` has left
- `build`: only find or build the programs
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from infra.controlplane.build import BuildError, find_programs
from infra.controlplane.run import StartError, control_plane, start, stop_detached

DIRECTORY: Final = Path(__file__).resolve().parents[2] / ".local" / "controlplane"


def main(arguments: list[str]) -> int:
    """Do what the arguments say and return the exit status."""
    options = build_parser().parse_args(arguments)
    try:
        match options.command:
            case "build":
                return build()
            case "up":
                return up()
            case "down":
                return down()
            case _:
                return run(options.argv)
    except (BuildError, StartError) as error:
        report(f"error: {error}")
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.controlplane")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="find or build the programs")
    commands.add_parser("up", help="leave a control plane running")
    commands.add_parser("down", help="end the one that is running")
    run_parser = commands.add_parser("run", help="run a command against a fresh control plane")
    run_parser.add_argument("argv", nargs="+", metavar="-- COMMAND")
    return parser


def build() -> int:
    """Find or build the programs and print where they are."""
    for path in find_programs(os.environ, report).values():
        print(path)  # noqa: T201 (a command's output)
    return 0


def run(argv: list[str]) -> int:
    """Run a command against a fresh control plane and return the command's exit status."""
    with control_plane(report) as plane:
        report(f"control plane at {plane.url}")
        environment = {**os.environ, **plane.environment()}
        return subprocess.run(argv, env=environment, check=False).returncode  # noqa: S603 - the user's


def up() -> int:
    """Leave a control plane running and print the environment that reaches it."""
    DIRECTORY.parent.mkdir(exist_ok=True)
    try:
        DIRECTORY.mkdir(mode=0o700)
    except FileExistsError:
        report("a control plane is up already: `python -m infra.controlplane down` ends it")
        return 1
    plane = start(DIRECTORY, report)
    plane.detach()
    for name, value in plane.environment().items():
        print(f"export {name}={shlex.quote(value)}")  # noqa: T201 (a command's output)
    return 0


def down() -> int:
    """End the control plane that is running. Doing it twice is no error."""
    stop_detached(DIRECTORY)
    return 0


def report(line: str) -> None:
    """Tell the person at the terminal, and leave standard output alone."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 (progress)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
