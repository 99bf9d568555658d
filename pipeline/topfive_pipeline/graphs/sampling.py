"""Resampling without antialias, and by the nearest pixel: indices of source pixels, only for what the crop shows.

The arithmetic is that of `preprocessing.taps`. What does not live here: what an image is resized to, and what of that
the crop shows (`graphs.resize`).
"""

from __future__ import annotations

from typing import Final

from topfive_pipeline.graphs.onnx_text import Part, vector
from topfive_pipeline.preprocessing.rules import Interpolation, Preprocessing
from topfive_pipeline.preprocessing.taps import CUBIC, TIE

_AXES: Final = (("rows", "zero"), ("columns", "one"))


def parts(rules: Preprocessing, *, output: str) -> list[Part]:
    """From `image` to `output`: rows and columns `start` to `stop` of the image resized to `full`."""
    if rules.interpolation == "nearest":
        return [*(_nearest(*axis) for axis in _AXES), _picked(output)]
    taps = 2 if rules.interpolation == "bilinear" else 4
    return [*(_taps(*axis, interpolation=rules.interpolation) for axis in _AXES), _summed(taps, output=output)]


def _window(axis: str, place: str) -> str:
    """Lines for the scalars of one axis: `rows_size`, `rows_full`, `rows_start` and `rows_stop`."""
    names = ("size", "full", "start", "stop")
    return "".join(f"  {axis}_{name} = Gather ({name}, {place})\n" for name in names)


def _nearest(axis: str, place: str) -> Part:
    """`rows`, INT64 [n]: Pillow adds the step up from pixel to pixel, in float64, beginning with half of it."""
    lines = f"""
  {_window(axis, place)}
  {axis}_size_double = Cast <to = 11> ({axis}_size)
  {axis}_full_double = Cast <to = 11> ({axis}_full)
  {axis}_step = Div ({axis}_size_double, {axis}_full_double)
  {axis}_first = Mul ({axis}_step, half_double)
  {axis}_first_1 = Unsqueeze ({axis}_first, axis_0)
  {axis}_stop_1 = Unsqueeze ({axis}_stop, axis_0)
  {axis}_more = Sub ({axis}_stop_1, one)
  {axis}_steps = Expand ({axis}_step, {axis}_more)
  {axis}_all_steps = Concat <axis = 0> ({axis}_first_1, {axis}_steps)
  {axis}_centres = CumSum ({axis}_all_steps, zero)
  {axis}_start_1 = Unsqueeze ({axis}_start, axis_0)
  {axis}_seen = Slice ({axis}_centres, {axis}_start_1, {axis}_stop_1)
  {axis} = Cast <to = 7> ({axis}_seen)
"""
    return Part(lines, {"int64 zero": "0", "int64 one": "1", "double half_double": "0.5", "int64[1] axis_0": "0"})


def _picked(output: str) -> Part:
    return Part(f"""
  of_rows = Gather <axis = 1> (image, rows)
  {output} = Gather <axis = 2> (of_rows, columns)
""")


def _taps(axis: str, place: str, *, interpolation: Interpolation) -> Part:
    """`rows`, INT64 [taps, n], and `rows_weights`, FLOAT [taps, n].

    The centre of pixel x lies at ((2x + 1) * size - full) / (2 * full), between a pixel and the next; here one more, so
    that nothing is negative.
    """
    lines = f"""
  {_window(axis, place)}
  {axis}_x = Range ({axis}_start, {axis}_stop, one)
  {axis}_x_2 = Mul ({axis}_x, two)
  {axis}_middle = Add ({axis}_x_2, one)
  {axis}_middle_size = Mul ({axis}_middle, {axis}_size)
  {axis}_centre = Add ({axis}_middle_size, {axis}_full)
  {axis}_whole = Mul ({axis}_full, two)
  {axis}_above = Div ({axis}_centre, {axis}_whole)
  {axis}_rest = Mod ({axis}_centre, {axis}_whole)
  {axis}_free = Add ({axis}_above, offsets)
  {axis}_last = Sub ({axis}_size, one)
  {axis}_bounded = Max ({axis}_free, zero)
  {axis} = Min ({axis}_bounded, {axis}_last)
  {axis}_rest_double = Cast <to = 11> ({axis}_rest)
  {axis}_whole_double = Cast <to = 11> ({axis}_whole)
  {axis}_f_double = Div ({axis}_rest_double, {axis}_whole_double)
  {axis}_f_flat = Cast <to = 1> ({axis}_f_double)
  {axis}_f = Unsqueeze ({axis}_f_flat, axis_0)
"""
    constants = {"int64 zero": "0", "int64 one": "1", "int64 two": "2", "int64[1] axis_0": "0"}
    # a weight is a polynomial of f, the way from the pixel below the centre: `slopes` times its powers, plus `at_0`
    if interpolation == "bilinear":
        constants |= {"int64[2, 1] offsets": "-1, 0", "float[2, 1] slopes": "-1.0, 1.0", "float[2, 1] at_0": "1.0, 0.0"}
        return Part(f"{lines}  {_weights(axis, f'{axis}_f')}", constants)
    a = CUBIC
    slopes = (a, -2 * a, a), (a + 2, -(a + 3), 0.0), (-(a + 2), 2 * a + 3, -a), (-a, a, 0.0)
    constants |= {
        "int64[4, 1] offsets": "-2, -1, 0, 1",
        "float[4, 3] slopes": vector(*(slope for row in slopes for slope in row)),
        "float[4, 1] at_0": "0.0, 1.0, 0.0, 0.0",
    }
    lines += f"""
  {axis}_f2 = Mul ({axis}_f, {axis}_f)
  {axis}_f3 = Mul ({axis}_f2, {axis}_f)
  {axis}_powers = Concat <axis = 0> ({axis}_f3, {axis}_f2, {axis}_f)
  {_weights(axis, f"{axis}_powers")}
"""
    return Part(lines, constants)


def _weights(axis: str, powers: str) -> str:
    return f"""
  {axis}_weighed = MatMul (slopes, {powers})
  {axis}_weights = Add ({axis}_weighed, at_0)
"""


def _summed(taps: int, *, output: str) -> Part:
    """Rows first, for whole rows are copied fast; all in float32, rounded once, half up (see `taps.TIE`).

    The terms are added one by one, for ReduceSum over a few terms takes four times as long.
    """
    columns = f"""
  columns_float = Gather <axis = 2> (of_rows, columns)
  columns_factors_1 = Unsqueeze (columns_weights, axis_2)
  columns_factors = Expand (columns_factors_1, rgb)
  columns_terms = Mul (columns_float, columns_factors)
  of_columns = ReduceSum <keepdims = 0> (columns_terms, axis_2)
  raised = Add (of_columns, half)
  bounded = Clip (raised, darkest, brightest)
  {output} = Cast <to = 2> (bounded)
"""
    constants = {
        "int64[1] axis_0": "0",
        "int64[2] row": "1, 2",
        "int64[1] axis_2": "2",
        "int64[3] rgb": "1, 1, 3",
        "float half": repr(0.5 + TIE),
        "float darkest": "0.0",
        "float brightest": "255.0",
    }
    return Part(_rows(taps) + columns, constants)


def _rows(taps: int) -> str:
    """Lines from `image`, [N, H, W, 3], to `of_rows`, FLOAT [N, n, W, 3]."""
    pieces = [f"row_{tap}" for tap in range(taps)]
    lines = f"""
  {", ".join(pieces)} = Split <axis = 0, num_outputs = {taps}> (rows)
  {", ".join(f"{piece}_weight" for piece in pieces)} = Split <axis = 0, num_outputs = {taps}> (rows_weights)
"""
    for piece in pieces:
        lines += f"""
  {piece}_index = Squeeze ({piece}, axis_0)
  {piece}_factor_1 = Squeeze ({piece}_weight, axis_0)
  {piece}_factor = Unsqueeze ({piece}_factor_1, row)
  {piece}_levels = Gather <axis = 1> (image, {piece}_index)
  {piece}_float = Cast <to = 1> ({piece}_levels)
  {piece}_term = Mul ({piece}_float, {piece}_factor)
"""
    terms = ", ".join(f"{piece}_term" for piece in pieces)
    return f"{lines}  of_rows = Sum ({terms})\n"
