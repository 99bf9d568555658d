"""The file of keys is read strictly, says what is wrong where, and shows no key."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.access.key_file import MAX_TENANTS, KeyFile, read_key_file
from topfive.access.spending import Limits
from topfive.ground.errors import ConfigurationError

ONE = "correct-horse-battery-staple"
OTHER = "0123456789abcdef"
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=40)


@given(st.lists(printable.filter(lambda key: not key.startswith("#")), min_size=1, max_size=4))
def test_a_file_holds_one_key_a_line(keys: list[str]) -> None:
    text = "# keys of the service\n\n" + "".join(f"  {key}\t\r\n\n#{key}\n" for key in keys)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "keys"
        path.write_bytes(text.encode())
        assert list(read_key_file(path).holders) == list(dict.fromkeys(keys))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no key"),
        (b"\n \n# only a comment\n", "holds no key"),
        (b"short\n", "line 1: the key must have at least 16 printable characters"),
        (ONE.encode() + b"\nfifteen-letters\n", "line 2: the key must have"),
        (b"sixteen letters with blanks\n", "line 1: the key must have"),
        (b"tab\tinside-the-key-here\n", "line 1: the key must have"),
        (b"control\x01inside-the-key\n", "line 1: the key must have"),
        ("schlüssel-der-lang-genug-ist\n".encode(), "cannot be read"),
        (b"\xef\xbb\xbf" + ONE.encode(), "cannot be read"),
        (b"\xff\xfe" + ONE.encode("utf-16-le"), "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, content: bytes | None, says: str) -> None:
    """With its path, the setting's name and the number of the line; never with the key."""
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=says) as refusal:
        read_key_file(path)
    message = str(refusal.value)
    assert message.startswith(f"api_keys_file '{path}'")
    assert all(word not in message for word in ("horse", "fifteen", "sixteen", "inside", "schl"))


def test_a_folder_is_no_file_of_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key_file(tmp_path)


def read(folder: Path, text: str) -> KeyFile:
    path = folder / "keys"
    path.write_text(text)
    return read_key_file(path)


def test_keys_without_words_are_one_tenant_without_limits(tmp_path: Path) -> None:
    """As every file of before is."""
    said = read(tmp_path, f"{ONE}\n{OTHER}\n")
    assert said == KeyFile({ONE: "default", OTHER: "default"}, {"default": Limits()})
    assert ONE not in repr(said)


def test_a_line_says_whose_the_key_is_and_what_its_tenant_may_do(tmp_path: Path) -> None:
    said = read(
        tmp_path,
        f"{ONE}  weight=2 name=feed\trate=2.5 burst=100 quota=1000000/day priority=1\n{OTHER} name=feed weight=2\n",
    )
    assert said.holders == {ONE: "feed", OTHER: "feed"}
    assert said.limits == {
        "feed": Limits(rate=2.5, burst=100, quota=1_000_000, window="day", weight=2, priority=1),
    }


def test_a_key_may_end_in_what_looks_like_a_word(tmp_path: Path) -> None:
    key = "bmFtZT1mZWVkIHJhdGU="
    assert read(tmp_path, f"{key} name=feed").holders == {key: "feed"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("rat=50", "the word 'rat' means nothing; after the key, there may be name=, rate=, burst="),
        ("name=feed fast", "the word 'fast' means nothing"),
        ("another-secret-on-the-line", "the word number 2 means nothing"),
        ("name=feed YW5vdGhlciBzZWNyZXQ=", "the word number 3 means nothing"),
        ("name=feed name=feed", "name stands there twice"),
        ("rate=5", "limits need a name; write it before them, as name=feed"),
        *((f"name={name}", "name must be up to 40 letters") for name in ("", "a/b", "..", "default", "x" * 41, "é")),
        *(
            (f"name=a rate={rate}", "rate must be images a second")
            for rate in ("0", "-1", "1e3", "nan", "", "1,5", "0.")
        ),
        *((f"name=a rate=1 burst={burst}", "burst must be images at once") for burst in ("0", "1.5", "1000001", "x")),
        *(
            (f"name=a quota={quota}", "quota must be images for each hour")
            for quota in ("5", "0/day", "5/week", "/day")
        ),
        *((f"name=a weight={weight}", "weight must be a whole number from 1 to 100") for weight in ("0", "101", "2.0")),
        *((f"name=a priority={level}", "priority must be a level") for level in ("0", "-1", "first")),
        ("name=a burst=5", "the burst of a needs a rate"),
    ],
)
def test_a_word_that_means_nothing_is_refused_with_its_line(tmp_path: Path, line: str, says: str) -> None:
    """And whatever might be a key is not shown."""
    path = tmp_path / "keys"
    path.write_bytes(f"# a comment\n{ONE} {line}\n".encode("latin-1"))
    with pytest.raises(ConfigurationError) as refusal:
        read_key_file(path)
    message = str(refusal.value)
    if "é" in line:
        says = "cannot be read"
    else:
        assert message.startswith(f"api_keys_file '{path}', line 2: ")
    assert says in message
    assert all(word not in message for word in (ONE, "another-secret", "YW5vdGhlciBz"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{ONE} name=a\n{ONE} name=b\n", "line 2: the same key stands further up with another name"),
        (f"{ONE}\n{ONE} name=b\n", "line 2: the same key stands further up with another name"),
        (f"{ONE} name=a rate=5\n\n{OTHER} name=a rate=6\n", "line 3: rate of a differs from that in line 1"),
        (f"{ONE} name=a quota=5/day\n{OTHER} name=a quota=5/hour\n", "line 2: quota of a differs"),
    ],
)
def test_lines_that_contradict_each_other_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        read(tmp_path, text)


def test_there_are_so_many_tenants_and_no_more(tmp_path: Path) -> None:
    """Each is a label of metrics."""
    lines = [f"{ONE}-{number} name=n{number}\n" for number in range(MAX_TENANTS)]
    assert len(read(tmp_path, "".join(lines)).limits) == MAX_TENANTS
    with pytest.raises(ConfigurationError, match=f"line {MAX_TENANTS + 1}: this is the {MAX_TENANTS + 1}th name"):
        read(tmp_path, "".join([*lines, f"{ONE}\n"]))
