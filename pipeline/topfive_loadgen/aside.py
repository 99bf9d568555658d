"""A helper process for work that this process must not delay: a generator of load, a prober.

It runs one function at a time. Each function has a keyword `stop`: a pipe that becomes readable when the function
should end early.
"""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")
END_SECONDS = 10.0

# Commands to the process besides functions.
STOP, QUIT = "stop", "quit"


class Aside:
    """The helper process, from construction to the end of the `with` block."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._ours.send(QUIT)
            self._process.join(END_SECONDS)
        if self.is_alive:
            self._process.kill()
            self._process.join()
        self._ours.close()

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def start(self, function: Callable[..., Any], **arguments: Any) -> None:
        """Begin to run `function`; `result` waits for it."""
        self._ours.send((function, arguments))

    def stop(self) -> None:
        """Ask the running function to end early."""
        self._ours.send(STOP)

    def has_ended(self, *, within_seconds: float) -> bool:
        """Whether the function ended, or the process did; waits for that at most so long."""
        return self._ours.poll(within_seconds)

    def result(self) -> Any:
        """What the function returned; an exception that it raised is raised here."""
        outcome, value = self._ours.recv()
        if outcome == "raised":
            raise value
        return value

    def run(self, function: Callable[..., Result], **arguments: Any) -> Result:
        """Start `function`, and wait for its result."""
        self.start(function, **arguments)
        result: Result = self.result()
        return result


def _serve(commands: Connection) -> None:
    """The loop of the helper process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent decides what ends
    while (command := commands.recv()) != QUIT:
        if command == STOP:  # it arrived just after the function had ended
            continue
        function, arguments = command
        try:
            commands.send(("returned", function(**arguments, stop=commands)))
        except BaseException as error:  # noqa: BLE001  # raised again by `result`, in the process that asked
            commands.send(("raised", error))
