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

What does not live here: what an image is resized to, and the crop (`graphs.resize`).
"""

from __future__ import annotations

from typing import Final

from topfive_pipeline.graphs.onnx_text import Part, vector
from topfive_pipeline.preprocessing.rules import Preprocessing

_MODES: Final = {"bicubic": 'mode = "cubic", cubic_coeff_a = -0.5', "bilinear": 'mode = "linear"'}


def whole(rules: Preprocessing, *, output: str) -> Part:
    """From `image` to `output`: resized to `full`."""
    resize = _resize(rules, "half_pixel")
    lines = f"""
  {_VERTICAL_FIRST}
  {output} = If (vertical_first) <
    then_branch = vertical_then_horizontal () => (uint8[N, A, B, 3] turned_result) {{
      full_height, full_width = Split <axis = 0, num_outputs = 2> (full)
      same_height, same_width = Split <axis = 0, num_outputs = 2> (size)
      only_height = Concat <axis = 0> (full_height, same_width)
      between = {resize} (image, , , only_height)
      turned_result = {resize} (between, , , full)
    }},
    else_branch = horizontal_then_vertical () => (uint8[N, A, B, 3] result) {{ result = {resize} (image, , , full) }}
  >
"""
    return Part(lines, {"int64 one": "1", "int64 zero": "0", "int64 two": "2"})


def trimmed(rules: Preprocessing, *, output: str) -> list[Part]:
    """From `image` to `output`: resized by `full` / `size`, and as much cut off on either side as the crop cannot see.

    The lengths of `output` have the parities of `full`.
    """
    resize = _resize(rules, "half_pixel_symmetric")
    # half of the crop (of an odd one, the larger half), the filter's reach when shrinking (2), and rounding (1)
    further = 3 if rules.crop_rounding == "floor" else 4
    reach = [(length + 1) // 2 + further for length in rules.crop]
    passes = f"""
  {_VERTICAL_FIRST}
  {output} = If (vertical_first) <
    then_branch = vertical_then_horizontal () => (uint8[N, A, B, 3] turned_result) {{
      scale_height, scale_width = Split <axis = 0, num_outputs = 2> (scale)
      only_height = Concat <axis = 0> (scale_height, same)
      only_width = Concat <axis = 0> (same, scale_width)
      between = {resize} (source, , only_height)
      turned_result = {resize} (between, , only_width)
    }},
    else_branch = horizontal_then_vertical () => (uint8[N, A, B, 3] result) {{ result = {resize} (source, , scale) }}
  >
"""
    return [
        Part(
            _TRIM,
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
        Part(passes, {"int64 one": "1", "int64 zero": "0", "int64 two": "2", "float[1] same": "1.0"}),
    ]


def _resize(rules: Preprocessing, transformation: str) -> str:
    """The operator; without `exclude_outside` the border would count more than in Pillow."""
    return (
        f"Resize <{_MODES[rules.interpolation]}, antialias = 1, exclude_outside = 1, axes = [1, 2], "
        f'coordinate_transformation_mode = "{transformation}">'
    )


_VERTICAL_FIRST: Final = """
  less = Sub (size, full)
  less_height = Gather (less, zero)
  less_width = Gather (less, one)
  less_width_2 = Mul (less_width, two)
  bound = Max (less_width_2, zero)
  vertical_first = Greater (less_height, bound)
"""

_TRIM: Final = """
  # most = what may be trimmed from either side, leaving what the crop can see: half of it plus the filter's reach when
  # shrinking in output pixels, and its reach when enlarging (2), rounding and a guard in source pixels
  seen_times = Mul (size, reach)
  seen_source = Div (seen_times, full)
  half_kept = Add (seen_source, guard)
  half_size = Div (size, two)
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
