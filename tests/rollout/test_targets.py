"""What a copy that waits keeps in memory is counted whole."""

from __future__ import annotations

import numpy as np

from topfive.rollout.targets import nbytes_kept


def test_a_view_of_a_part_keeps_the_whole_body_and_it_counts_once() -> None:
    body = bytes(1000)
    parts = [memoryview(body)[10:20], memoryview(body)[30:31]]
    assert nbytes_kept(parts) == 1000
    pixels = np.frombuffer(parts[0], np.uint8).reshape(5, 2)[1:3]
    assert nbytes_kept([pixels, *parts]) == 1000
    assert nbytes_kept([np.zeros((4, 5), np.uint8)[1:2], bytearray(3), b"1234567"]) == 30
