"""`python -m topfive`, and the command `topfive`."""

from __future__ import annotations

import os
import signal
import sys

# Imports take most of a start. The kernel drops a SIGTERM to the first process of a container if it has no handler, so
# without this line a stop during the imports would end in a kill. Nothing has begun yet, so exiting at once is safe.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

_STANDARD_ERROR = 2


def fill_standard_files() -> None:
    """Open the null device for each of standard input, output and error that is closed.

    Otherwise the first sockets would get these file numbers, and the log would go to a client.
    """
    while (file := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        pass
    os.close(file)
    if sys.stderr is None:
        sys.stderr = os.fdopen(_STANDARD_ERROR, "w")


def main() -> int:
    """Run the command line; return the exit code."""
    fill_standard_files()
    arguments = sys.argv[1:]
    # Only a word asks which commands are installed: a service, which has flags, starts without looking.
    if arguments and not arguments[0].startswith("-"):
        from topfive.config.commands import run_command

        return run_command(arguments[0], arguments[1:])
    # --version and --help work even if a package is missing or a setting is wrong: nothing is imported or read before.
    if "--version" in arguments:
        from topfive import __version__

        print(f"topfive {__version__}")
        return 0
    if "--help" in arguments or "-h" in arguments:
        from topfive.config.command_line import help_text
        from topfive.config.commands import purposes
        from topfive.config.settings import Settings

        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `topfive --help | head` ends without a traceback
        print(help_text(Settings.model_fields, purposes()))
        return 0
    from topfive.process.main import main

    return main(arguments)


if __name__ == "__main__":
    sys.exit(main())
