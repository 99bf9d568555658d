"""The commands: `python -m benchmarks NAME`. Each is a module of that name, whose `main` has its options."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from topfive_loadgen.cli import UNKNOWN, Commands
from topfive_loadgen.photos import NoPhotos

COMMANDS: Final = (
    *(
        "overhead",
        "overload",
        "mixed_sizes",
        "open_loop",
        "burst",
        "poison",
        "swap",
        "replicas",
        "balancing",
        "retries",
    ),
    *("triton", "chaos", "soak", "life", "zoo", "engines", "rollout", "plan", "caching", "fairness"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; return its exit code: 0 PASS, 1 FAIL, 2 INVALID or a bad option."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for graphs run here, and for every service started here
    given = list(sys.argv[1:] if arguments is None else arguments)
    named = [name for name in COMMANDS if name in given[:1]] or COMMANDS  # import only the command that is needed
    commands = Commands("benchmarks", about="What the service costs, and what it bears.")
    for name in named:
        commands.add(import_module(f"benchmarks.{name}").main, name)
    try:
        return commands.run(given)
    except NoPhotos as error:
        print(error, file=sys.stderr)
        return UNKNOWN


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)  # as Ctrl-C: the servers and networks that a command made end with it
    sys.exit(main())
