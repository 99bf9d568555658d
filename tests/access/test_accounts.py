"""What is spent in one process is spent in all that share the file, and stays spent when they end."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from topfive.access.accounts import Account
from topfive.access.spending import Spent
from topfive.ground.errors import ConfigurationError

SPENDING: Final = """
import sys
from dataclasses import replace
from pathlib import Path
from topfive.access.accounts import Account
account = Account(Path(sys.argv[1]))
for _ in range(2000):
    account.change(lambda spent: replace(spent, used=spent.used + 1))
"""


def one_more(spent: Spent) -> Spent:
    return replace(spent, used=spent.used + 1)


def refuse(spent: Spent) -> Spent:
    raise ValueError("refused")


@pytest.mark.parametrize("in_file", [True, False])
def test_a_change_that_raises_changes_nothing(tmp_path: Path, in_file: bool) -> None:
    account = Account(tmp_path / "a" if in_file else None)
    account.change(one_more)
    with pytest.raises(ValueError, match="refused"):
        account.change(refuse)
    assert account.change(one_more).used == account.look().used == 2


def test_accounts_on_one_file_are_one_account(tmp_path: Path) -> None:
    """Of several processes, and of those that come later."""
    first, second = Account(tmp_path / "a"), Account(tmp_path / "a")
    first.change(one_more)
    second.change(one_more)
    assert first.look() == second.look() == Account(tmp_path / "a").look() == Spent(used=2)
    assert (tmp_path / "a").stat().st_size == 32
    assert Account(tmp_path / "b").look() == Account().look() == Spent()


def test_processes_that_spend_at_once_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SPENDING, str(tmp_path / "a")]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert Account(tmp_path / "a").look().used == 4000


def test_a_folder_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be kept in '.*missing/a'"):
        Account(tmp_path / "missing" / "a")


def test_a_file_that_fails_later_leaves_each_process_its_own_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk neither refuses requests nor lets in all of them."""
    account = Account(tmp_path / "a")
    account.change(one_more)

    def fail(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr("topfive.access.accounts.os.pread", fail)
        assert account.change(one_more).used == 2
        assert account.change(one_more).used == 3
    assert len(caplog.records) == 1
    assert "no space left" in caplog.text
