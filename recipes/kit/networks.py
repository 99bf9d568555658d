"""The small convolutional network that several recipes start from, so that what they gain can be compared."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

WIDTH = 24
"""Channels of its first layers."""


def block(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU: FP32 [n, inputs, h, w] -> [n, outputs, h / stride, w / stride]."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            norm=nn.BatchNorm2d(outputs),
            relu=nn.ReLU(),
        )
    )


def plain(classes: int, *, width: int = WIDTH) -> nn.Sequential:
    """Six blocks of 3x3 in three stages of `width`, twice and four times as many channels; the mean; one layer.

    FP32 [n, 1, side, side] -> logits FP32 [n, classes]; any side of at least 4.
    """
    wide, wider = 2 * width, 4 * width
    return nn.Sequential(
        OrderedDict(
            stem=block(1, width),
            first=block(width, width),
            second=block(width, wide, stride=2),
            third=block(wide, wide),
            fourth=block(wide, wider, stride=2),
            fifth=block(wider, wider),
            mean=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(wider, classes),
        )
    )
