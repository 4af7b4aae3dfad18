"""Operations of networks, and shapes that they are tried on."""

from __future__ import annotations

from convprof.problems import ops

IMAGES = [(2, 5, 7, 9), (1, 16, 4, 4), (1, 33, 3, 17), (3, 1, 1, 1), (1, 3, 20, 70)]
ON_IMAGES = [
    ops.Activation("relu"),
    ops.Activation("gelu"),
    ops.Affine(0.5, 3.0),
    ops.BatchNorm(),
    ops.LayerNorm(),
    ops.LayerScale(),
    ops.Bias(),
    ops.Softmax(),
    ops.Tokens(),
    ops.Flatten(),
    ops.Reshape((0, -1)),
    ops.Transpose((0, 2, 3, 1)),
    ops.Transpose((3, 1, 0, 2)),
    ops.Slice(1, 0, 1),
    ops.AdaptiveAverage(1, 1),
    ops.AdaptiveAverage(3, 2),
    ops.AdaptiveAverage(4, 4),
]
ALSO_ON_IMAGES = [
    ops.Clip(-0.5, 0.75),
    ops.HardSigmoid(),
    ops.ResponseNorm(5, 0.5),
    ops.ResponseNorm(2, 1.0, 0.5, 2.0),
    ops.ResponseNorm(3, 1.0, 2.0),
    ops.Pad((0, 0, 1, 1), (0, 0, 1, 1)),
    ops.Pad((0, 0, 0, 0), (0, 0, 1, 2), 0.5),
    ops.Pad((0, 3, 2, 20), (1, 1, 0, 17)),
    ops.Upsample(2, 3),
    ops.Upsample(1, 2),
    ops.Resize(14, 18, (2.0, 2.0)),
    ops.Resize(3, 50, (0.4, 5.0), "align_corners"),
    ops.Resize(10, 5, (1.5, 0.6), "asymmetric"),
    ops.Resize(11, 15, (1.6, 1.7), "half_pixel", "round_prefer_floor"),
    ops.Resize(1, 80, (0.2, 4.5), "pytorch_half_pixel"),
    ops.Resize(14, 19, (2.0, 1.9), cubic=-0.75),
    ops.Resize(3, 80, (0.4, 4.5), "align_corners", cubic=-0.5, excludes_outside=True),
    ops.Resize(2, 3, (0.3, 0.2), cubic=-0.75, antialias=True),
    ops.Resize(7, 5, (1.0, 0.3), antialias=True),
    ops.InstanceNorm(),
    ops.Elu(),
    ops.Elu(0.5, 2.0),
    ops.LogSoftmax(),
    ops.LayerNorm(bias=False),
]
"""Operations of files only; fewer shapes suffice, since they share the loops of others."""

TOKENS = [(1, 17, 48), (2, 5, 3), (1, 1, 130), (3, 2, 1)]
ON_TOKENS = [
    ops.Activation("silu"),
    ops.Clip(0.25),
    ops.Clip(None, 0.1),
    ops.LayerNorm(1e-6),
    ops.LayerNorm(bias=False),
    ops.LayerScale(),
    ops.Bias(),
    ops.Softmax(),
    ops.LogSoftmax(),
    ops.ClassToken(),
    ops.PositionEmbedding(),
    ops.SelectToken(0),
    ops.Reshape((-1,)),
    ops.Transpose((1, 0, 2)),
    ops.Transpose((2, 1, 0)),
    ops.Slice(2, 0, 1),
    ops.Pad((0, 1, 0), (0, 0, 3)),
]
