"""Small networks that have every op, in the forms that libraries treat differently."""

from __future__ import annotations

from convprof.problems import ops
from convprof.problems.graph import INPUT, Builder, Network


def net_of(build, shape=(2, 3, 19, 18)):
    net = Builder()
    build(net)
    return Network("small", shape, tuple(net.nodes))


def convolutions(net):
    net.add("padded", ops.Convolution(k=8, r=3, s=2, pad=(0, 1, 2, 0), bias=True))
    net.add("relu", ops.Activation("relu"))
    net.add("grouped", ops.Convolution(k=16, r=3, s=3, pad=(2, 2), dilation=(2, 2), groups=4))
    net.add("bn", ops.BatchNorm())
    net.add("silu", ops.Activation("silu"))
    begin = net.add("strided", ops.Convolution(k=16, r=1, s=1, stride=(2, 2), bias=True))
    net.add("depthwise", ops.Convolution(k=16, r=3, s=3, pad=(1, 1), groups=16, bias=True))
    net.add("gelu", ops.Activation("gelu"))
    net.add("pointwise", ops.Convolution(k=16, r=1, s=1, bias=True))
    net.add("scale", ops.LayerScale())
    net.add("add", ops.Add(), net.last, begin)
    net.add("sum_relu", ops.Activation("relu"))
    shortcut = net.last
    net.add("again", ops.Convolution(k=16, r=3, s=3, pad=(1, 1), bias=True))
    net.add("other", ops.Add(), shortcut, net.last)
    net.add("tanh", ops.Activation("tanh"))
    net.add("norm", ops.LayerNorm())
    net.add("response", ops.ResponseNorm(5, 0.5))
    net.add("response_even", ops.ResponseNorm(4, 0.5))
    net.add("norm_alone", ops.LayerNorm(bias=False))
    net.add("term", ops.Bias())
    image = net.last
    net.add("mean", ops.AdaptiveAverage(1, 1))
    net.add("fc1", ops.Convolution(k=4, r=1, s=1, bias=True))
    net.add("fc1_act", ops.Activation("hardswish"))
    net.add("fc2", ops.Convolution(k=16, r=1, s=1, bias=True))
    net.add("gate", ops.Activation("hardsigmoid"))
    net.add("mul", ops.Multiply(), net.last, image)
    net.add("flat", ops.Flatten())
    net.add("fc", ops.Linear(10))
    net.add("last", ops.Activation("sigmoid"))


def pools(net):
    made = [
        net.add("max", ops.Pool2d.square("max", 3, stride=2, pad=1), INPUT),
        net.add("max_ceil", ops.Pool2d(which="max", r=2, s=2, stride=(2, 2), ceil=True), INPUT),
        net.add("avg", ops.Pool2d.square("avg", 3, stride=2, pad=1), INPUT),
        net.add(
            "avg_seen",
            ops.Pool2d(
                which="avg", r=3, s=3, stride=(2, 2), pad=(1, 1), count_padding=False, ceil=True
            ),
            INPUT,
        ),
        net.add(
            "avg_ceil",
            ops.Pool2d(which="avg", r=3, s=3, stride=(2, 2), pad=(0, 1, 2, 0), ceil=True),
            INPUT,
        ),
        net.add(
            "avg_wide",
            ops.Pool2d(which="avg", r=3, s=4, stride=(3, 3), pad=(2, 3), count_padding=False),
            INPUT,
        ),
        net.add(
            "max_wide",
            ops.Pool2d(which="max", r=4, s=3, stride=(3, 2), pad=(3, 0, 1, 2)),
            INPUT,
        ),
        net.add("all", ops.AdaptiveAverage(5, 4), INPUT),
    ]  # fmt: skip
    flat = [net.add(f"{name}_flat", ops.Flatten(), name) for name in made]
    net.add("concat", ops.Concat(1), *flat)
    affine = net.add("affine", ops.Affine(0.5, 0.25))
    tanh = net.add("tanh", ops.Activation("tanh"))
    net.add("larger", ops.Maximum(), affine, tanh)
    net.add("smaller", ops.Minimum(), net.last, affine)
    net.add("pad", ops.Pad((0, 3), (0, 5), -0.5))
    net.add("clip", ops.Clip(-2.0, 2.0))
    net.add("slope", ops.HardSigmoid())


def tokens(net):
    net.add("patches", ops.Convolution.square(24, 3, stride=3, pad=0, bias=True))
    net.add("tokens", ops.Tokens())
    net.add("class_token", ops.ClassToken())
    begin = net.add("position", ops.PositionEmbedding())
    net.add("ln", ops.LayerNorm())
    packed = net.add("in_proj", ops.Linear(72))
    net.add("qk", ops.AttentionScores(3))
    net.add("softmax", ops.Softmax())
    net.add("pv", ops.AttentionMix(3), net.last, packed)
    net.add("out_proj", ops.Linear(24))
    middle = net.add("sum", ops.Add(), net.last, begin)
    net.add("mlp", ops.Linear(48))
    net.add("gelu", ops.Activation("gelu"))
    net.add("mlp2", ops.Linear(24, bias=False))
    net.add("sum2", ops.Add(), middle, net.last)
    net.add("relu6", ops.Activation("relu6"))
    net.add("whole_proj", ops.Linear(72))
    net.add("whole", ops.Attention(2))
    heads = ops.Rearranged((ops.Reshape((0, -1, 2, 12)), ops.Transpose((0, 2, 1, 3))))
    wide = net.add("heads", heads)
    whole = ops.Rearranged(())
    settings = {"heads": 2, "scale": 0.3, "tokens_first": True}
    net.add(
        "of_heads",
        ops.RearrangedAttention(queries=whole, keys=whole, values=whole, **settings),
        wide,
        wide,
        wide,
    )
    net.add("side by side", ops.Reshape((0, -1, 24)))
    turned = net.add("turned", ops.Transpose((0, 2, 1)))
    net.add("grams", ops.MatMul(transpose_b=True, scale=0.2), turned, turned)
    net.add("applied", ops.MatMul(), net.last, turned)
    net.add("cut", ops.Slice(1, 2, 20))
    net.add("shaped", ops.Reshape((0, 3, -1)))
    net.add("one", ops.SelectToken(1))


def attention_whose_weights_are_read_twice(net):
    packed = net.add("tokens", ops.Tokens())
    packed = net.add("proj", ops.Linear(12))
    scores = net.add("qk", ops.AttentionScores(2))
    weights = net.add("softmax", ops.Softmax())
    net.add("pv", ops.AttentionMix(2), weights, packed)
    net.add("sum", ops.Add(), scores, weights)
    net.add("twice", ops.MatMul(), scores, weights)
    net.add("all", ops.Add(), "sum", "twice")


def memory_that_others_read(net):
    """Results that may not be overwritten, next to some that may."""
    net.add("of_input", ops.Activation("relu"))  # not in the place of the input
    a = net.add("a", ops.Convolution.square(3, 1), INPUT)
    half = net.add("half", ops.Slice(1, 0, 2), a)
    net.add("half_relu", ops.Activation("relu"), half)  # a part of what is read below
    net.add("other", ops.Slice(1, 1, 3), a)
    net.add("product", ops.Multiply(), "half_relu", "other")
    net.add("twice", ops.Add(), "product", "product")
    net.add("c", ops.Convolution.square(3, 1, bias=True), "of_input")
    net.add("c_relu", ops.Activation("relu"))  # c is read again
    net.add("c_sum", ops.Add(), "c_relu", "c")
    net.add("c_view", ops.Reshape((0, 0, 0, -1)))
    net.add("view_tanh", ops.Activation("tanh"))
    net.add("sum", ops.Add(), "view_tanh", "c_sum")  # c_sum is where the view is
    net.add("wide", ops.AdaptiveAverage(1, 1), "sum")
    net.add("gated", ops.Multiply(), "wide", "sum")
    net.add("known", ops.Known((2, 3, 19, 18)), "gated")
    net.add("with_known", ops.Multiply(), "known", "gated")  # known is a weight
    net.add("spread", ops.Expand((2, 3, 19, 18)), "wide")
    net.add("spread_sum", ops.Add(), "spread", "with_known")  # elements of spread repeat
    net.add("flat", ops.Flatten())
    net.add("flat_twice", ops.Flatten(), "twice")
    net.add("end", ops.Concat(1), "flat", "flat_twice")


def operations_of_files(net):
    net.add("elu", ops.Elu(0.5))
    net.add("selu", ops.Elu(1.67, 1.05))
    net.add("norm", ops.InstanceNorm())
    net.add("centres", ops.Resize(14, 20, (14 / 19, 20 / 18)))
    net.add("corners", ops.Resize(9, 31, (1.0, 1.0), "align_corners"))
    net.add("scaled", ops.Resize(14, 13, (1.6, 0.45), "asymmetric"))
    net.add("cubic", ops.Resize(14, 13, (1.0, 1.0), cubic=-0.75))
    net.add("smooth", ops.Resize(14, 13, (0.9, 1.1), cubic=-0.5, excludes_outside=True))
    net.add("nearest", ops.Resize(17, 10, (17 / 14, 10 / 13), "asymmetric", "floor"))
    net.add("twice", ops.Upsample(2, 3))
    net.add("log", ops.LogSoftmax())
    net.add("flat", ops.Flatten())
    net.add("part", ops.Part(3, (2, 2, 5, 4)))


def operations_of_text(net):
    net.add("flat", ops.Flatten(), INPUT)
    net.add("few", ops.Slice(1, 0, 12))
    ids = net.add("ids", ops.Affine(4.0, 4.0))
    net.add("rows", ops.Embedding(9, 16))
    normed = net.add("norm", ops.RmsNorm())
    net.add("present", ops.Compare("less", 6.0), ids)
    net.add("column", ops.Reshape((0, -1, 1)))
    every = net.add("every", ops.Expand((2, 12, 16)))
    known = net.add("known", ops.Known((1, 12, 16)), ids)
    chosen = net.add("chosen", ops.Select(otherwise=-1.0), every, normed)
    either = net.add("either", ops.Select(), every, chosen, known)
    net.add("unequal", ops.Compare("not equal"), either, known)
    positive = net.add("positive", ops.Affine(1.0, 0.5))
    net.add("root", ops.Power(-0.5))
    net.add("ratio", ops.Divide(), either, positive)
    net.add("sum", ops.Add(), net.last, "root")
    for function in ("exp", "softplus", "mish", "sin", "round"):
        net.add(function, ops.Elementary(function))
        net.add(f"{function} scaled", ops.Affine(0.5, 0.1))
    net.add("terms", ops.Terms((1, 12, 16), learned=False))
    net.add("factors", ops.Factors((1, 12, 1)))
    net.add("gelu", ops.Activation("gelu_tanh"))


def recurrent_layers(net):
    net.add("rows", ops.Tokens())
    net.add("same", ops.Converted())
    net.add("sums", ops.RunningSum(1, reverse=True, exclusive=True))
    net.add("sums_of_items", ops.RunningSum(0))
    net.add("mean", ops.Affine(0.02, 0.0))
    net.add("both", ops.Recurrent(cell="lstm", units=5, direction="bidirectional"))
    first = net.add("first", ops.Slice(1, 0, 1))
    rows = net.add("forward", ops.Reshape((2, -1, 5)))
    net.add("row", ops.Slice(0, 1, 2), first)
    state = net.add("state", ops.Reshape((1, -1, 5)))
    settings = {"units": 5, "has_states": True}
    gru = ops.Recurrent(cell="gru", direction="reverse", bias=False, **settings)
    net.add("reverse", gru, rows, state)
    rows = net.add("reverse_rows", ops.Reshape((2, -1, 5)))
    net.add("plain", ops.Recurrent(cell="rnn", **settings), rows, state)
    rows = net.add("plain_rows", ops.Reshape((2, -1, 5)))
    relu = ops.Recurrent(cell="rnn", function="relu", units=5)
    net.add("relu", relu, rows)
    rows = net.add("relu_rows", ops.Reshape((2, -1, 5)))
    kept = ops.Recurrent(cell="lstm", keeps_cells=True, **settings)
    net.add("kept", kept, rows, state, state)
    all_rows = net.add("all_rows", ops.Reshape((3, -1, 5)))
    net.add("best", ops.Place(2))
    net.add("last", ops.Place(1, of="smallest", last=True))
    net.add("chosen", ops.ChosenRow(), all_rows, "last")


NETS = (
    convolutions,
    pools,
    tokens,
    attention_whose_weights_are_read_twice,
    memory_that_others_read,
    operations_of_files,
    operations_of_text,
    recurrent_layers,
)
