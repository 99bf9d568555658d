"""Builds the first graph, as ONNX text: an image of any size in, the 224 x 224 centre crop of the resized image out.

Its specification is `pipeline.reference` (Pillow). `classify_graph` continues after the crop.

Three things make this graph more than one `Resize` node:

1.  **Only what reaches the crop is resampled.** Resizing 500 x 375 to 341 x 256 and cutting 224 x 224 out of it throws
    away a third of the work, and 1 x 5000 would become 256 x 1280000. So each axis is first trimmed in the *source*,
    by the same `margin` on both sides, and `half_pixel_symmetric` (with explicit scales) keeps the centre of the
    trimmed image on the centre of the whole one. Every remaining pixel then gets the very weights it would have got
    in the full resize, as long as the output grids coincide: the output length of the trimmed axis, floor(length *
    scale), must have the parity of the full output length. `margin` is the largest one for which that holds.
2.  **The scale is never too small.** ONNX computes output lengths as floor(length * scale). If the product should be
    an integer, a float32 scale that is slightly too small would lose a row, and with it the parity.
3.  **The order of the two passes is Pillow's**, since pixels are rounded to uint8 between them: horizontal first, but
    vertical first where a shrinking image is more than twice as tall as wide (Pillow >= 13). A pass with scale 1 is a
    plain copy in ONNX Runtime.
"""

import onnx
import onnx.parser

from pipeline.layout import RESIZE_NAME

OPSET = 19  # the first opset whose Resize has half_pixel_symmetric
IR_VERSION = 9  # the IR version of that opset

_RESIZE = (
    'Resize <mode = "cubic", cubic_coeff_a = -0.5, antialias = 1, exclude_outside = 1, axes = [1, 2], '
    'coordinate_transformation_mode = "half_pixel_symmetric">'
)

_TEXT = f"""
<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>
{RESIZE_NAME} (uint8[N, H, W, 3] image) => (uint8[N, 224, 224, 3] pixels)
<
  int64 zero = {{0}}, int64 one = {{1}}, int64 two = {{2}}, int64 crop = {{224}}, int64 short_side = {{256}},
  int64 reach = {{115}}, int64 guard = {{4}}, int64[1] axis_0 = {{0}}, int64[1] axis_1 = {{1}},
  int64[2] spatial_axes = {{1, 2}}, bool[2] is_vertical = {{1, 0}}, float same = {{1.0}},
  float one_up = {{1.00000011920928955078125}}
>
{{
  # full = the size after resizing: 256 * (height, width) / short side, rounded down, exact in int64
  size = Shape <start = 1, end = 3> (image)
  shortest = ReduceMin <keepdims = 1> (size)
  size_256 = Mul (size, short_side)
  full = Div (size_256, shortest)

  # most = what may be trimmed from either side, leaving what the crop can see: half of it (112.5) plus the filter's
  # reach when shrinking (2) in output pixels, and its reach when enlarging (2), rounding and a guard in source pixels
  seen = Mul (size, reach)
  seen_source = Div (seen, full)
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
  tolerance = Div (size, short_side)
  limit = Sub (size, tolerance)
  aligned = Less (phase_2, limit)
  within = LessOrEqual (candidate, most)
  usable = And (aligned, within)
  margins = Where (usable, candidate, zero)
  margin = ReduceMax <keepdims = 0> (margins, axis_0)
  stop = Sub (size, margin)
  source = Slice (image, margin, stop, spatial_axes)

  # scale = full / size in float32; where length * scale is `wanted` exactly and float32 falls short of it, one up
  kept = Sub (stop, margin)
  kept_full = Mul (kept, full)
  wanted = Div (kept_full, size)
  full_double = Cast <to = 11> (full)
  size_double = Cast <to = 11> (size)
  exact_scale = Div (full_double, size_double)
  near_scale = Cast <to = 1> (exact_scale)
  near_double = Cast <to = 11> (near_scale)
  kept_double = Cast <to = 11> (kept)
  wanted_double = Cast <to = 11> (wanted)
  reached = Mul (near_double, kept_double)
  falls_short = Less (reached, wanted_double)
  scale_above = Mul (near_scale, one_up)
  scale = Where (falls_short, scale_above, near_scale)

  # vertical pass first?
  height, width = Split <axis = 0, num_outputs = 2> (size)
  width_2 = Mul (width, two)
  is_tall = Greater (height, width_2)
  shrinks = Less (full, size)
  tall_shrinks = And (is_tall, shrinks)
  goes_first = And (tall_shrinks, is_vertical)
  first_scale = Where (goes_first, scale, same)
  second_scale = Where (goes_first, same, scale)
  first = {_RESIZE} (source, , first_scale)
  second = {_RESIZE} (first, , second_scale)

  # the centre crop; (trimmed - 224) has the parity of (full - 224), so rounding down is the same pixel
  trimmed = Shape <start = 1, end = 3> (second)
  excess = Sub (trimmed, crop)
  crop_start = Div (excess, two)
  crop_stop = Add (crop_start, crop)
  pixels = Slice (second, crop_start, crop_stop, spatial_axes)
}}
"""


def build() -> onnx.ModelProto:
    """Return the graph `image` UINT8 [N,H,W,3] -> `pixels` UINT8 [N,224,224,3], RGB; H and W at least 1."""
    return onnx.parser.parse_model(_TEXT)
