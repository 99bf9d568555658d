"""Resampling with antialias, as Pillow does it, by ONNX's Resize: the whole image, or no more than the crop can see.

1.  **The order of the two passes is Pillow's**, for pixels are rounded to uint8 between them: horizontal first, which
    is what one Resize node does, but vertical first where the height shrinks, and by more than twice as many pixels as
    the width (Pillow >= 13; found by comparing 12 000 random pairs of sizes with both orders).
2.  **Only what reaches the crop is resampled.** Resizing 500 x 375 to 341 x 256 and cutting 224 x 224 out of it throws
    away a third of the work, and 1 x 5000 would become 256 x 1280000. So each axis is first trimmed in the *source*,
    by the same `margin` on both sides, and `half_pixel_symmetric` (with explicit scales) keeps the centre of the
    trimmed image on the centre of the whole one. Every remaining pixel then gets the very weights it would have got
    in the full resize, as long as the output grids coincide: the output length of the trimmed axis, floor(length *
    scale), must have the parity of the full output length. `margin` is the largest one for which that holds.
3.  **The scale is never too small.** ONNX computes output lengths as floor(length * scale). If the product should be
    an integer, a float32 scale that is slightly too small would lose a row, and with it the parity.
4.  **A trimmed axis that is resampled changes its length**, for ONNX Runtime copies an axis whose length stays
    the same, whatever its scale: 510 pixels that become 512 may not be trimmed to 236, which would stay 236.
5.  **Images that shrink far are taken apart into planes**, so that the sums of the horizontal pass run over
    neighbouring bytes. They become one plane, or ONNX Runtime would move the transposition behind the pass.

What does not live here: what an image is resized to, and the crop (`graphs.resize`).
"""

from __future__ import annotations

from typing import Final

from topfive_pipeline.graphs.onnx_text import Part, vector
from topfive_pipeline.preprocessing.rules import Preprocessing

_FAR: Final = 4
"""From this scale of shrinking on, it is faster to part the channels for the horizontal pass, twice as fast at 20."""
_MODES: Final = {"bicubic": 'mode = "cubic", cubic_coeff_a = -0.5', "bilinear": 'mode = "linear"'}


def whole(rules: Preprocessing, *, output: str) -> list[Part]:
    """From `image` to `output`: resized to `full`."""
    return [Part(_MORE), _passes("image", output, resize=_resize(rules, "half_pixel"), by=", , {}", lengths="full")]


def trimmed(rules: Preprocessing, *, output: str) -> list[Part]:
    """From `image` to `output`: resized by `full` / `size`, and as much cut off on either side as the crop cannot see.

    The lengths of `output` have the parities of `full`.
    """
    # half of the crop (of an odd one, the larger half), the filter's reach when shrinking (2), and rounding (1)
    further = 3 if rules.crop_rounding == "floor" else 4
    reach = [(length + 1) // 2 + further for length in rules.crop]
    return [
        Part(
            _MORE + _TRIM,
            {
                "int64 zero": "0",
                "int64 one": "1",
                "int64 two": "2",
                "int64[2] reach": vector(*reach),
                "int64 guard": "4",
                "int64 finest": "256",
                "int64[1] axis_0": "0",
                "int64[1] axis_1": "1",
                "int64[2] spatial_axes": "1, 2",
            },
        ),
        Part(_SCALE, {"float one_up": "1.00000011920928955078125"}),
        _passes("source", output, resize=_resize(rules, "half_pixel_symmetric"), by=", {}", lengths="scale"),
    ]


def _resize(rules: Preprocessing, transformation: str) -> str:
    """The operator, its axes left open; without `exclude_outside` the border would count more than in Pillow."""
    return (
        f"Resize <{_MODES[rules.interpolation]}, antialias = 1, exclude_outside = 1, axes = [{{}}], "
        f'coordinate_transformation_mode = "{transformation}">'
    )


def _passes(source: str, output: str, *, resize: str, by: str, lengths: str) -> Part:
    """From `source` to `output`; `lengths`: how far along each axis, `by` says as which input of Resize."""
    both, height, width = (by.format(name) for name in (lengths, "by_height", "by_width"))
    constants = {"int64 zero": "0", "int64 one": "1", "int64 two": "2", "int64 far": str(_FAR)}
    constants |= {"int64[4] one_plane": "0, 1, -1, 0", "int64[4] three_planes": "0, 3, -1, 0"}
    lines = f"""
  {_VERTICAL_FIRST}
  {output} = If (vertical_first) <
    then_branch = vertical_then_horizontal () => (uint8[N, A, B, 3] result_vertical) {{
      by_height, by_width = Split <axis = 0, num_outputs = 2> ({lengths})
      between = {resize.format(1)} ({source}, {height})
      result_vertical = {resize.format(2)} (between, {width})
    }},
    else_branch = horizontal_then_vertical () => (uint8[N, A, B, 3] result) {{
      full_far = Mul (full, far)
      are_far = Less (full_far, size)
      is_far = Gather (are_far, one)
      result = If (is_far) <
        then_branch = by_planes () => (uint8[N, A, B, 3] result_planes) {{
          by_height, by_width = Split <axis = 0, num_outputs = 2> ({lengths})
          planes = Transpose <perm = [0, 3, 1, 2]> ({source})
          plane = Reshape (planes, one_plane)
          narrow = {resize.format(3)} (plane, {width})
          narrow_planes = Reshape (narrow, three_planes)
          small_planes = {resize.format(2)} (narrow_planes, {height})
          result_planes = Transpose <perm = [0, 2, 3, 1]> (small_planes)
        }},
        else_branch = by_pixels () => (uint8[N, A, B, 3] result_pixels) {{
          result_pixels = {resize.format("1, 2")} ({source}, {both})
        }}
      >
    }}
  >
"""
    return Part(lines, constants)


_MORE: Final = "  more = Sub (full, size)\n"

_VERTICAL_FIRST: Final = """
  more_height = Gather (more, zero)
  more_width = Gather (more, one)
  more_width_2 = Mul (more_width, two)
  bound = Min (more_width_2, zero)
  vertical_first = Less (more_height, bound)
"""

_TRIM: Final = """
  # most = what may be trimmed from either side, leaving what the crop can see: half of it plus the filter's reach when
  # shrinking in output pixels, and its reach when enlarging (2), rounding and a guard in source pixels; and where the
  # image is enlarged, so much that it becomes longer by a pixel: 2 * half_kept * more >= size
  seen_times = Mul (size, reach)
  seen_source = Div (seen_times, full)
  half_size = Div (size, two)
  is_more = Greater (more, zero)
  divisor = Where (is_more, more, size)
  longer = Div (half_size, divisor)
  half_needed = Max (seen_source, longer)
  half_kept = Add (half_needed, guard)
  spare = Sub (half_size, half_kept)
  most = Max (spare, zero)

  # candidates 0 .. most, in rows; a column per axis
  longest = ReduceMax <keepdims = 0> (most)
  end = Add (longest, one)
  sequence = Range (zero, end, one)
  candidate = Unsqueeze (sequence, axis_1)

  # (size - 2 * candidate) * full / size has the parity of `full` once rounded down, and is not so close below an
  # integer that float32 could round it up: 2 * (-candidate * full mod size) < size - size / 256
  moved = Mul (candidate, full)
  moved_back = Neg (moved)
  phase = Mod (moved_back, size)
  phase_2 = Mul (phase, two)
  tolerance = Div (size, finest)
  limit = Sub (size, tolerance)
  aligned = Less (phase_2, limit)
  within = LessOrEqual (candidate, most)
  usable = And (aligned, within)
  margins = Where (usable, candidate, zero)
  margin = ReduceMax <keepdims = 0> (margins, axis_0)
  margin_stop = Sub (size, margin)
  source = Slice (image, margin, margin_stop, spatial_axes)
"""

_SCALE: Final = """
  # scale = full / size in float32; where length * scale is `wanted` exactly and float32 falls short of it, one up
  kept = Sub (margin_stop, margin)
  kept_full = Mul (kept, full)
  wanted = Div (kept_full, size)
  full_double = Cast <to = 11> (full)
  size_as_double = Cast <to = 11> (size)
  exact_scale = Div (full_double, size_as_double)
  near_scale = Cast <to = 1> (exact_scale)
  near_double = Cast <to = 11> (near_scale)
  kept_double = Cast <to = 11> (kept)
  wanted_double = Cast <to = 11> (wanted)
  reached = Mul (near_double, kept_double)
  falls_short = Less (reached, wanted_double)
  scale_above = Mul (near_scale, one_up)
  scale = Where (falls_short, scale_above, near_scale)
"""
