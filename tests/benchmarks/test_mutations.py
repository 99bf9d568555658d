"""Spoilt requests: each a seed's own, and what it says it is."""

import json
import random
import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import mutations, nasty_messages, oip, repositories

REQUEST, _ = oip.infer_parts(repositories.image(7)[None], binary=False)


@given(st.integers(), st.binary(min_size=1, max_size=300))
def test_a_mutation_is_its_seeds(seed: int, data: bytes) -> None:
    """The same seed spoils alike, so that what a run of chaos found can be found again."""
    first, again = random.Random(seed), random.Random(seed)
    assert mutations.mutate_bytes(data, first) == mutations.mutate_bytes(data, again)
    assert mutations.mutate_json(REQUEST, first) == mutations.mutate_json(REQUEST, again)


def test_most_mutations_of_json_are_json_still() -> None:
    """They must get past the parser to be of use, and differ from the request and from each other."""
    chance = random.Random(1)
    spoilt = [mutations.mutate_json(REQUEST, chance) for _ in range(300)]
    parsed = 0
    for text in spoilt:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            continue
        parsed += 1
    assert parsed > 150
    assert len(set(spoilt)) > 100


def test_a_png_can_claim_any_size() -> None:
    """With a checksum that is right, so that it is not refused for that."""
    good = nasty_messages.png()
    bombs = {mutations.enlarge_png(good, random.Random(seed)) for seed in range(50)}
    sizes = {struct.unpack(">II", bomb[16:24]) for bomb in bombs}
    assert sizes == set(mutations.CLAIMED_SIZES)
    assert all(bomb[:16] + bomb[33:] == good[:16] + good[33:] for bomb in bombs)
    assert all(zlib.crc32(bomb[12:29]).to_bytes(4, "big") == bomb[29:33] for bomb in bombs)


def test_a_bomb_inflates_to_what_it_says() -> None:
    packed = mutations.gzip_bomb(3)
    assert len(packed) < 10_000
    assert zlib.decompress(packed, 31) == bytes(3 << 20)
