"""What waits for the shadow never exceeds its bounds, and leaves in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from topfive.rollout.comparison import Labelled
from topfive.rollout.copies import Copies, Copy

MOST_IMAGES, MOST_BYTES = 6, 100
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 4), st.integers(0, 60)),
        st.tuples(st.just("take"), st.just(0), st.just(0)),
        st.tuples(st.just("pass"), st.integers(1, 5), st.just(0)),
    ),
    max_size=40,
)


@given(steps)
def test_bounds_hold_and_every_copy_leaves_once_in_order(todo: list[tuple[str, int, int]]) -> None:
    copies, now, number = Copies(max_images=MOST_IMAGES, max_bytes=MOST_BYTES), 0.0, 0
    waiting: list[Copy] = []
    for what, count, nbytes in todo:
        if what == "put":
            number += 1
            copy = Copy(str(number), [Labelled((), ())] * count, 0.0, None, nbytes, now + 4)
            fits = sum(len(each.live) for each in waiting) + count <= MOST_IMAGES
            fits &= sum(each.nbytes for each in waiting) + nbytes <= MOST_BYTES
            assert copies.put(copy) == fits
            waiting += [copy] * fits
        elif what == "take" and waiting:
            assert copies.take() is waiting.pop(0)
        elif what == "pass":
            now += count
            late = [each for each in waiting if each.expires <= now]
            assert copies.expire(now) == late
            waiting = waiting[len(late) :]
        assert len(copies) == len(waiting)
        assert copies.images == sum(len(each.live) for each in waiting) <= MOST_IMAGES
        assert copies.nbytes == sum(each.nbytes for each in waiting) <= MOST_BYTES
        assert copies.next_expiry == (waiting[0].expires if waiting else float("inf"))
