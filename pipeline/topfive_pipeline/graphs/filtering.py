"""Resampling with antialias, as Pillow does it: each pass is a product of matrices, for no more than the crop shows.

1.  **A pixel is a weighed sum of its neighbours along one axis**, and their weights are those of Pillow's
    `precompute_coeffs`: the filter, as wide as the image shrinks, at the distance of each source pixel from the centre,
    divided by the sum, all in float64 and then rounded to steps of 2**-22.
2.  **A pass takes blocks of `_BLOCK` pixels**, each of which needs a window of source pixels along the axis. So a pass
    is a batch of small dense products, weights [blocks, block, window] by pixels [blocks, window, the other axis]. That
    is several times the multiplications of the sums themselves, and yet twice as fast as the operator Resize, because
    processors multiply matrices with all their lanes.
3.  **A pass runs over rows**, which lie together in memory; for columns, the image is turned before and after.
4.  **Only what the crop shows is computed**, at its place in the resized image: 1 x 5000 would become 256 x 1280000.
5.  **The order of the two passes is Pillow's**, for pixels are rounded to uint8 between them: horizontal first, but
    vertical first where the height shrinks, and by more than twice as many pixels as the width (Pillow >= 13; found by
    comparing 12 000 random pairs of sizes with both orders).
6.  **Large images go in pieces** through their first pass: as float32 a whole one would take six times its own memory,
    and leave the caches.

What does not live here: what an image is resized to, and where the crop lies in that (`graphs.resize`).
"""

from __future__ import annotations

from typing import Final

from topfive_pipeline.graphs.onnx_text import Part, vector
from topfive_pipeline.preprocessing.rules import Preprocessing

_BLOCK: Final = 8
"""Pixels that share a window: fewer multiply badly, and with more the window has more pixels that most do not need."""
_PIECES: Final = 16
_LARGE: Final = 1 << 18
"""From this number of source pixels on, a pass goes by pieces: a megabyte of them as float32 leaves the caches."""
_STEP: Final = 2.0**-22
"""Pillow's weights are multiples of this; as float32 they are exact, and so is a grey level times this."""
_TIE: Final = 1 - 2.0**-24
"""The largest float32 below 1: divided by it, a half is a bit more. QuantizeLinear rounds a half to even, Pillow up."""
_AXES: Final = (("rows", 0), ("columns", 1))


def parts(rules: Preprocessing, *, output: str, is_smaller: bool) -> list[Part]:
    """From `image` to `output`: what lies between `start` and `stop` of the image resized from `size` to `full`.

    `is_smaller`: whether that may be smaller than the crop.
    """
    weights = [_weights(axis, index, rules=rules) for axis, index in _AXES]
    height, width = (-(-length // _BLOCK) * _BLOCK for length in rules.crop)
    if not is_smaller and (height, width) == rules.crop:
        return [_SCALES, *weights, _SOURCE, _passes(height, width, output=output)]
    cut = f"""
  kept = Sub (stop, start)
  {output} = Slice (blocks, nowhere, kept, spatial_axes)
"""
    constants = {"int64[2] nowhere": "0, 0", "int64[2] spatial_axes": "1, 2"}
    return [_SCALES, *weights, _SOURCE, _passes(height, width, output="blocks"), Part(cut, constants)]


_SCALES: Final = Part(
    """
  final = Sub (full, one)
  size_as_double = Cast <to = 11> (size)
  full_as_double = Cast <to = 11> (full)
  scale = Div (size_as_double, full_as_double)
  stretch = Max (scale, one_double)
  support = Mul (stretch, reach)
""",
    {"int64 one": "1", "double one_double": "1.0"},
)


def _weights(axis: str, index: int, *, rules: Preprocessing) -> Part:
    """Of one axis, such as `rows`: what the windows of its blocks are, and the weights of their pixels.

    - `rows_top`, `rows_bottom`, INT64 [1]: the first source pixel of the first window, and the end of the last.
    - `rows_taken`, INT64 [blocks, window]: the source pixels of each window, counted from `rows_top`.
    - `rows_weights`, FLOAT [blocks, 8, window]: in steps of `_STEP`.
    """
    places = ("scale", "stretch", "support", "size", "start", "final")
    lines = "".join(f"  {axis}_{name} = Gather ({name}, index_{index})\n" for name in places)
    lines += f"""
  # the pixels of each block, [blocks, 8], and their centres in the source; beyond the image its last pixel again
  {axis}_free = Add ({axis}_offsets, {axis}_start)
  {axis}_x = Min ({axis}_free, {axis}_final)
  {axis}_x_double = Cast <to = 11> ({axis}_x)
  {axis}_x_middle = Add ({axis}_x_double, half_double)
  {axis}_centre = Mul ({axis}_x_middle, {axis}_scale)

  # the window of each block, [blocks, 1]: as long as the longest, and inside the image
  {axis}_first = Slice ({axis}_centre, axis_0, axis_1, axis_1)
  {axis}_last = Slice ({axis}_centre, from_last, to_last, axis_1)
  {axis}_lowest = Sub ({axis}_first, {axis}_support)
  {axis}_floor = Floor ({axis}_lowest)
  {axis}_low_free = Cast <to = 7> ({axis}_floor)
  {axis}_low = Max ({axis}_low_free, index_0)
  {axis}_highest = Add ({axis}_last, {axis}_support)
  {axis}_ceil = Ceil ({axis}_highest)
  {axis}_high_free = Cast <to = 7> ({axis}_ceil)
  {axis}_high = Min ({axis}_high_free, {axis}_size)
  {axis}_windows = Sub ({axis}_high, {axis}_low)
  {axis}_window = ReduceMax <keepdims = 0> ({axis}_windows)
  {axis}_latest = Sub ({axis}_size, {axis}_window)
  {axis}_begin = Min ({axis}_low, {axis}_latest)
  {axis}_top_2 = Slice ({axis}_begin, axis_0, axis_1, axis_0)
  {axis}_begin_last = Slice ({axis}_begin, from_last, to_last, axis_0)
  {axis}_bottom_2 = Add ({axis}_begin_last, {axis}_window)
  {axis}_top = Squeeze ({axis}_top_2, axis_1)
  {axis}_bottom = Squeeze ({axis}_bottom_2, axis_1)

  {axis}_inside = Range (index_0, {axis}_window, index_1)
  {axis}_pixel = Add ({axis}_begin, {axis}_inside)
  {axis}_taken = Sub ({axis}_pixel, {axis}_top)
  {axis}_pixel_double = Cast <to = 11> ({axis}_pixel)
  {axis}_middle = Add ({axis}_pixel_double, half_double)
  {axis}_middle_3 = Unsqueeze ({axis}_middle, axis_1)
  {axis}_centre_3 = Unsqueeze ({axis}_centre, axis_2)
  {axis}_way = Sub ({axis}_middle_3, {axis}_centre_3)
  {axis}_signed = Div ({axis}_way, {axis}_stretch)
  {axis}_distance = Abs ({axis}_signed)
  {_FILTERS[rules.interpolation].format(axis=axis)}
  {axis}_sum = ReduceSum ({axis}_filter, axis_2)
  {axis}_unit = Mul ({axis}_sum, step)
  {axis}_steps = Div ({axis}_filter, {axis}_unit)
  {axis}_whole = Round ({axis}_steps)
  {axis}_weights = Cast <to = 1> ({axis}_whole)
"""
    blocks = -(-rules.crop[index] // _BLOCK)
    constants = {
        f"int64[{blocks}, {_BLOCK}] {axis}_offsets": vector(*range(blocks * _BLOCK)),
        "int64 index_0": "0",
        "int64 index_1": "1",
        "int64[1] axis_0": "0",
        "int64[1] axis_1": "1",
        "int64[1] axis_2": "2",
        "int64[1] from_last": "-1",
        "int64[1] to_last": str(2**63 - 1),
        "double half_double": "0.5",
        "double one_double": "1.0",
        "double two_double": "2.0",
        "double step": repr(_STEP),
        "double reach": _REACH[rules.interpolation],
    }
    return Part(lines, constants)


_REACH: Final = {"bilinear": "1.0", "bicubic": "2.0"}
_FILTERS: Final = {
    "bilinear": """
  {axis}_near_free = Sub (one_double, {axis}_distance)
  {axis}_filter = Relu ({axis}_near_free)
""",
    # Keys' cubic with a = -1/2 (IEEE Trans. ASSP 29, 1981): one polynomial for distances below 1, one from there to 2.
    # With `near` and `far`, what is missing to 1 and to 2, or 0, it is far^2 (far - 1) / 2 minus 2 near^2 (near - 1/2).
    "bicubic": """
  {axis}_near_free = Sub (one_double, {axis}_distance)
  {axis}_near = Relu ({axis}_near_free)
  {axis}_far_free = Sub (two_double, {axis}_distance)
  {axis}_far = Relu ({axis}_far_free)
  {axis}_far_1 = Sub ({axis}_far, one_double)
  {axis}_far_2 = Mul ({axis}_far, {axis}_far)
  {axis}_far_3 = Mul ({axis}_far_2, {axis}_far_1)
  {axis}_outer = Mul ({axis}_far_3, half_double)
  {axis}_near_1 = Sub ({axis}_near, half_double)
  {axis}_near_2 = Mul ({axis}_near, {axis}_near)
  {axis}_near_3 = Mul ({axis}_near_2, {axis}_near_1)
  {axis}_inner = Mul ({axis}_near_3, two_double)
  {axis}_filter = Sub ({axis}_outer, {axis}_inner)
""",
}


_SOURCE: Final = Part(
    """
  # all that any window has, [N, height, 3 * width]
  source_start = Concat <axis = 0> (rows_top, columns_top)
  source_stop = Concat <axis = 0> (rows_bottom, columns_bottom)
  source_pixels = Slice (image, source_start, source_stop, spatial_axes)
  source = Reshape (source_pixels, flat)
  source_size = Sub (source_stop, source_start)
  source_area = ReduceProd <keepdims = 0> (source_size)
  source_shorter = ReduceMin <keepdims = 0> (source_size)
  has_many = Less (large, source_area)
  has_pieces = Less (pieces, source_shorter)
  is_large = And (has_many, has_pieces)

  more = Sub (full, size)
  more_height = Gather (more, index_0)
  more_width = Gather (more, index_1)
  more_width_2 = Mul (more_width, two)
  bound = Min (more_width_2, index_0)
  vertical_first = Less (more_height, bound)
""",
    {
        "int64[2] spatial_axes": "1, 2",
        "int64[3] flat": "0, 0, -1",
        "int64 large": str(_LARGE),
        "int64 pieces": str(_PIECES),
        f"int64[{_PIECES}] piece_begins": vector(*range(_PIECES)),
        f"int64[{_PIECES}] piece_ends": vector(*range(1, _PIECES + 1)),
        "int64 two": "2",
    },
)


def _passes(height: int, width: int, *, output: str) -> Part:
    """From `source` to `output`, UINT8 [N, height, width, 3]."""
    lines = f"""
  columns_size_1 = Sub (columns_bottom, columns_top)
  by_columns = Concat <axis = 0> (axis_0, columns_size_1, from_last)
  twice = If (vertical_first) <
    then_branch = vertical_then_horizontal () => (uint8[N, A, B] twice_vertical) {{
      {_first("rows", "tall", along=2)}
      {_columns("tall_narrowed", "tall", "twice_vertical")}
    }},
    else_branch = horizontal_then_vertical () => (uint8[N, A, B] twice_horizontal) {{
      {_first("columns", "wide", along=1)}
      {_rows("wide_narrowed", "wide", "twice_horizontal")}
    }}
  >
  {output} = Reshape (twice, shape)
"""
    constants = {
        "int64[3] of_rows": f"0, {height}, -1",
        "int64[3] of_columns": f"0, {3 * width}, -1",
        "int64[4] shape": f"0, {height}, {width}, 3",
        "float level": repr(_STEP),
        "float tie": repr(_TIE),
        "uint8 dark": "0",
    }
    return Part(lines, constants)


def _first(axis: str, prefix: str, *, along: int) -> str:
    """The first pass, from `source` to `{prefix}_narrowed`; a large image in pieces, cut along the axis `along`."""
    one_pass = {"rows": _rows, "columns": _columns}[axis]
    pieces = [f"{prefix}_{piece}" for piece in range(_PIECES)]
    passes = "".join(one_pass(piece, piece, f"{piece}_narrowed") for piece in pieces)
    return f"""
  {prefix}_narrowed = If (is_large) <
    then_branch = {prefix}_in_pieces () => (uint8[N, A, B] {prefix}_joined) {{
      {prefix}_length = Shape <start = {along}, end = {along + 1}> (source)
      {prefix}_begins_times = Mul ({prefix}_length, piece_begins)
      {prefix}_ends_times = Mul ({prefix}_length, piece_ends)
      {prefix}_begins = Div ({prefix}_begins_times, pieces)
      {prefix}_ends = Div ({prefix}_ends_times, pieces)
      {prefix}_lengths = Sub ({prefix}_ends, {prefix}_begins)
      {", ".join(pieces)} = Split <axis = {along}> (source, {prefix}_lengths)
      {passes}
      {prefix}_joined = Concat <axis = {along}> ({", ".join(f"{piece}_narrowed" for piece in pieces)})
    }},
    else_branch = {prefix}_as_a_whole () => (uint8[N, A, B] {prefix}_at_once) {{
      {one_pass("source", prefix, f"{prefix}_at_once")}
    }}
  >
"""


def _rows(source: str, prefix: str, output: str) -> str:
    """From [N, h, n], UINT8, to [N, height, n]."""
    return f"""
  {prefix}_rows = Gather <axis = 1> ({source}, rows_taken)
  {_product("rows", prefix, output)}
"""


def _columns(source: str, prefix: str, output: str) -> str:
    """From [N, n, 3 * w], UINT8, to [N, n, 3 * width]."""
    return f"""
  {prefix}_turned = Transpose <perm = [0, 2, 1]> ({source})
  {prefix}_planes = Reshape ({prefix}_turned, by_columns)
  {prefix}_columns = Gather <axis = 1> ({prefix}_planes, columns_taken)
  {_product("columns", prefix, f"{prefix}_columns_made")}
  {output} = Transpose <perm = [0, 2, 1]> ({prefix}_columns_made)
"""


def _product(axis: str, prefix: str, output: str) -> str:
    """From the blocks' windows to their pixels, rounded and bounded to levels."""
    return f"""
  {prefix}_{axis}_levels = DequantizeLinear ({prefix}_{axis}, level, dark)
  {prefix}_{axis}_sums = MatMul ({axis}_weights, {prefix}_{axis}_levels)
  {prefix}_{axis}_rounded = QuantizeLinear ({prefix}_{axis}_sums, tie, dark)
  {output} = Reshape ({prefix}_{axis}_rounded, of_{axis})
"""
