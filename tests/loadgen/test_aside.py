"""A process of its own for one function at a time."""

from multiprocessing.connection import Connection

import pytest

from topfive_loadgen.aside import Aside


def double(*, number: int, stop: Connection) -> int:
    return 2 * number


def fail(*, stop: Connection) -> None:
    raise LookupError("as it was asked to")


def wait(*, stop: Connection) -> object:
    return stop.recv()


def test_it_runs_one_function_after_the_other() -> None:
    """Results come back; what is raised there is raised here, and the process lives on."""
    with Aside() as aside:
        assert aside.run(double, number=4) == 8
        with pytest.raises(LookupError, match="as it was asked to"):
            aside.run(fail)
        assert aside.run(double, number=5) == 10


def test_a_function_can_be_stopped() -> None:
    """And a stop that comes too late stops nothing else."""
    with Aside() as aside:
        aside.start(wait)
        aside.stop()
        assert aside.result() == "stop"
        aside.stop()
        assert aside.run(double, number=1) == 2


def test_an_error_here_ends_it_at_once() -> None:
    """Whatever it is at: nothing is left running behind a failed command."""
    aside = Aside()

    def use() -> None:
        with aside:
            aside.start(wait)
            raise LookupError

    with pytest.raises(LookupError):
        use()
    assert not aside.is_alive
