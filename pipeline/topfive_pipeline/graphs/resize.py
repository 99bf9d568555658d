"""Builds the first graph of an entry: an image of any size in, resized and cropped as `Preprocessing` says out.

Its specification is `preprocessing.reference`; `graphs.head` continues after the crop. The graph has the steps that the
rules need and no other: a size (`full`), the resampling, the crop, the padding. What does not live here: resampling
with antialias (`graphs.filtering`), and without (`graphs.sampling`).
"""

from __future__ import annotations

from typing import Any, Final

import onnx

from topfive_pipeline.graphs import filtering, sampling
from topfive_pipeline.graphs.onnx_text import Part, model, vector
from topfive_pipeline.graphs.pruning import prune_weights
from topfive_pipeline.preprocessing.geometry import resize_to, short_side
from topfive_pipeline.preprocessing.rules import Preprocessing

_SPATIAL: Final = {"int64[2] spatial_axes": "1, 2"}


def build(rules: Preprocessing, *, name: str) -> onnx.ModelProto:
    """The graph `image` UINT8 [N,H,W,3] -> `pixels` UINT8 [N,crop height,crop width,3], RGB; H and W at least 1.

    Raises `ConfigurationError` if the rules say how to resize, but not to what size.
    """
    height, width = rules.crop
    graph: Any = model(
        _parts(rules), name=name, inputs="uint8[N, H, W, 3] image", outputs=f"uint8[N, {height}, {width}, 3] pixels"
    )
    prune_weights(graph.graph)  # of the parts, not every rule takes every weight
    return graph


def _parts(rules: Preprocessing) -> list[Part]:
    if not may_be_smaller(rules):
        return [_size(rules), *_resampling(rules, output="pixels")]
    return [_size(rules), *_resampling(rules, output="seen"), _padding(rules)]


def _resampling(rules: Preprocessing, *, output: str) -> list[Part]:
    """From `image` to `output`, what the crop shows of the resized image; `full` is the size of the whole."""
    if rules.resize == "none":
        return [_crop_start(rules), Part(f"  {output} = Slice (image, start, stop, spatial_axes)\n", _SPATIAL)]
    if rules.interpolation == "nearest" or not rules.antialias:
        return [_crop_start(rules), *sampling.parts(rules, output=output)]
    return [_crop_start(rules), *filtering.parts(rules, output=output, is_smaller=may_be_smaller(rules))]


def _crop_start(rules: Preprocessing) -> Part:
    """`start` and `stop` of what the crop shows of the resized image, INT64 [2]."""
    smaller = may_be_smaller(rules)
    lines = f"""
  excess{"_signed" * smaller} = Sub (full, crop)
"""
    constants = {"int64[2] crop": vector(*rules.crop), "int64 two": "2"}
    if smaller:
        lines += """
  excess = Max (excess_signed, zero)
"""
        constants["int64 zero"] = "0"
    lines += _halved("excess", into="start", half_even=rules.crop_rounding == "half-even")
    if smaller:
        lines += """
  stop_unbounded = Add (start, crop)
  stop = Min (stop_unbounded, full)
"""
    else:
        lines += """
  stop = Add (start, crop)
"""
    return Part(lines, constants)


def _halved(name: str, *, into: str, half_even: bool) -> str:
    """Lines that divide a length, which is not negative, by `two`, rounding down, or a half to the even neighbour."""
    if not half_even:
        return f"  {into} = Div ({name}, two)\n"
    return f"""
  {name}_half = Div ({name}, two)
  {name}_odd = Mod ({name}_half, two)
  {name}_to_even = Add ({name}, {name}_odd)
  {into} = Div ({name}_to_even, two)
"""


def _padding(rules: Preprocessing) -> Part:
    """From `seen`, no larger than the crop, to `pixels`, on a ground of the grey level `fill`."""
    constants = _SPATIAL | {"int64[2] crop": vector(*rules.crop), "int64 two": "2", "uint8 fill": str(rules.fill)}
    if rules.resize == "letterbox":
        # as Pillow's pad; where nothing is shown, the one pixel there is is cut off again: padded by -1
        constants |= {"int64 zero": "0", "int64 cut": "-1"}
        lines = f"""
  missing = Sub (crop, shown)
  {_halved("missing", into="before_shown", half_even=True)}
  is_empty = Equal (shown, zero)
  before = Where (is_empty, cut, before_shown)
  missing_full = Sub (crop, full)
  after = Sub (missing_full, before)
"""
    else:
        lines = f"""
  seen_size = Shape <start = 1, end = 3> (seen)
  missing = Sub (crop, seen_size)
  {_halved("missing", into="before", half_even=False)}
  after = Sub (missing, before)
"""
    lines += """
  pads = Concat <axis = 0> (before, after)
  pixels = Pad (seen, pads, fill, spatial_axes)
"""
    return Part(lines, constants)


def may_be_smaller(rules: Preprocessing) -> bool:
    """Whether a resized image may be smaller than the crop, so that it must be padded."""
    match rules.resize:
        case "short-side":
            return short_side(rules) < max(rules.crop)
        case "squash":
            return any(length < crop for length, crop in zip(resize_to(rules), rules.crop, strict=True))
        case "letterbox" | "none":
            return True


def _size(rules: Preprocessing) -> Part:
    """`size` is the image's height and width, `full` what they become; both INT64 [2].

    With `letterbox` a side may come to 0; then `shown` has the 0, and `full` is 1, for nothing can be resized to 0.
    """
    lines = "  size = Shape <start = 1, end = 3> (image)\n"
    match rules.resize:
        case "none":
            return Part(lines.replace("size", "full"))
        case "squash":
            return Part(lines, {"int64[2] full": vector(*resize_to(rules))})
        case "short-side":
            # short side * (height, width) / shorter, rounded down, exact in int64
            lines += """
  shortest = ReduceMin <keepdims = 1> (size)
  size_times = Mul (size, short_side)
  full = Div (size_times, shortest)
"""
            return Part(lines, {"int64 short_side": str(short_side(rules))})
        case "letterbox":
            # as Pillow's contain, in float64: the crop's height and width, but round(height / width * crop width) high
            # where the image is wider than the crop, else round(width / height * crop height) wide
            lines += """
  size_double = Cast <to = 11> (size)
  turned = Gather (size_double, other_axis)
  ratios = Div (size_double, turned)
  ratio = Gather (ratios, one)
  is_wide = Greater (ratio, crop_ratio)
  is_fitted = Xor (is_wide, of_width)
  lengths = Mul (ratios, crop_turned)
  rounded = Round (lengths)
  fitted = Cast <to = 7> (rounded)
  shown = Where (is_fitted, fitted, crop)
  full = Max (shown, one)
"""
            height, width = rules.crop
            constants = {
                "int64 one": "1",
                "int64[2] other_axis": "1, 0",
                "bool[2] of_width": "0, 1",
                "double crop_ratio": repr(width / height),
                "double[2] crop_turned": vector(float(width), float(height)),
                "int64[2] crop": vector(*rules.crop),
            }
            return Part(lines, constants)
