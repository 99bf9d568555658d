"""`python -m topfive`, and the command `topfive`."""

from __future__ import annotations

import os
import signal
import sys

# Importing what serving needs takes most of a start, and the first process of a container loses a signal that nobody
# handles: stopped in its first second, it would have to be killed. Nothing has begun that would have to be ended.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

_STANDARD_ERROR = 2


def fill_standard_files() -> None:
    """Open the null device for standard input, output and error where whoever started the process closed them.

    Else the first sockets would take their places, and the log would go to a client.
    """
    while (file := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        pass
    os.close(file)
    if sys.stderr is None:
        sys.stderr = os.fdopen(_STANDARD_ERROR, "w")


def main() -> int:
    """Do what the command line asks for; the exit code."""
    fill_standard_files()
    arguments = sys.argv[1:]
    # Answered before anything is imported that could be missing, or read that could be wrong.
    if "--version" in arguments:
        from topfive import __version__

        print(f"topfive {__version__}")
        return 0
    if "--help" in arguments or "-h" in arguments:
        from topfive.config.command_line import help_text
        from topfive.config.settings import Settings

        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads it may have read enough
        print(help_text(Settings.model_fields))
        return 0
    from topfive.process.main import main

    return main(arguments)


if __name__ == "__main__":
    sys.exit(main())
