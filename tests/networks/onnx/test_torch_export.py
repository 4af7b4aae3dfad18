"""Files that PyTorch writes: parameters and multiply-adds equal its modules'."""

from __future__ import annotations

import warnings

import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
torch = pytest.importorskip("torch", reason="needs PyTorch")
nn, functional = torch.nn, torch.nn.functional

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.summary import summarise  # noqa: E402
from convprof.problems.ops import AttentionMix, AttentionScores, MatMul  # noqa: E402


@pytest.fixture
def export(tmp_path):
    """Write a module with PyTorch's exporter; return the path."""

    def write(module, x, opset=17, **kwargs):
        path = tmp_path / "exported.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(), (x,), str(path), dynamo=False, opset_version=opset,
                input_names=["x"], **kwargs,
            )  # fmt: skip
        return path

    return write


def parameters(module):
    return sum(each.numel() for each in module.parameters())


class Residual(nn.Module):
    """A stem and a bottleneck block as in ResNet-50."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 7, 2, 3, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        self.block = nn.Sequential(
            nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, 2, 1, groups=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 32, 1, bias=False), nn.BatchNorm2d(32),
        )  # fmt: skip
        self.down = nn.Conv2d(16, 32, 1, 2)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.stem(x)
        x = functional.relu(self.block(x) + self.down(x))
        return self.head(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))


MACS = 16 * 16 * 16 * 147 + 64 * (16 * 8) + 16 * (8 * 4 * 9 + 8 * 32 + 16 * 32) + 32 * 10


def test_a_residual_network(export):
    module = Residual()
    path = export(
        module, torch.zeros(1, 3, 32, 32), training=torch.onnx.TrainingMode.PRESERVE,
        dynamic_axes={"x": {0: "batch"}}, do_constant_folding=False,
    )  # fmt: skip
    total = summarise(load(path, {"batch": 2}).network).total
    assert (total.parameters, total.macs) == (parameters(module), 2 * MACS)


class Block(nn.Module):
    """Patches, a class token, one transformer block with packed attention, a head."""

    def __init__(self, width=24, heads=4):
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, 17, width))
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.packed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 48), nn.GELU(), nn.Dropout(), nn.Linear(48, width)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        n, t, width = x.shape
        packed = self.packed(self.norm(x)).reshape(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*packed).transpose(1, 2)
        x = x + self.out(mixed.reshape(n, t, width))
        x = x + self.mlp(self.norm2(x))
        return self.head(x[:, 0])


@pytest.mark.parametrize("opset", [14, 17])
def test_a_vision_transformer(export, opset):
    module = Block()
    path = export(module, torch.zeros(1, 3, 16, 16), opset, dynamic_axes={"x": {0: "n"}})
    network = load(path, {"n": 3}).network
    total = summarise(network).total
    macs = 16 * 24 * 48 + 17 * 24 * (3 * 24 + 24 + 2 * 48) + 2 * 17 * 17 * 24 + 24 * 10
    assert (total.parameters, total.macs) == (parameters(module), 3 * macs)
    kinds = [node.op.kind for node in network.nodes]
    assert kinds == [
        "conv", "tokens", "class token", "position",
        "layer norm", "linear", "attention qk", "softmax", "attention pv", "linear", "add",
        "layer norm", "linear", "activation", "linear", "add", "select token", "linear",
    ]  # fmt: skip


class Attending(nn.Module):
    """PyTorch's own attention, which works on tokens first and the minibatch second."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(24, 4, batch_first=True)

    def forward(self, x):
        return x + self.attention(x, x, x, need_weights=False)[0]


@pytest.mark.parametrize("n", [1, 2])
def test_multihead_attention(export, n):
    module = Attending()
    network = load(export(module, torch.zeros(n, 7, 24)), {}).network
    total = summarise(network).total
    macs = n * (7 * 24 * 4 * 24 + 2 * 7 * 7 * 24)
    assert (total.parameters, total.macs) == (parameters(module), macs)
    assert network.output == (n, 7, 24)
    ops = [node.op for node in network.nodes]
    assert AttentionScores(4) in ops
    assert AttentionMix(4) in ops


class Unusual(Attending):
    """Attention whose scores are not divided by the root of the depth."""

    def forward(self, x):
        q, k, v = (each.view(2, 7, 4, 6).transpose(1, 2) for each in x.chunk(3, -1))
        return (q @ k.transpose(-1, -2)).softmax(-1) @ v


def test_attention_that_is_scaled_otherwise_stays_in_parts(export):
    network = load(export(Unusual(), torch.zeros(2, 7, 72)), {}).network
    products = [node.op for node in network.nodes if isinstance(node.op, MatMul)]
    assert products == [MatMul(transpose_b=True), MatMul()]


class Mobile(nn.Module):
    """ConvNeXt's block with channels last, squeeze-and-excitation and hard activations."""

    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self.squeeze = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.down(functional.gelu(self.up(y))).permute(0, 3, 1, 2)
        x = x + self.scale * y
        gate = functional.hardsigmoid(self.squeeze(x.mean((2, 3), keepdim=True)))
        return functional.silu(gate * functional.hardswish(x)) + functional.relu6(x)


@pytest.mark.parametrize("opset", [13, 17])
def test_a_mobile_block(export, opset):
    module = Mobile()
    network = load(export(module, torch.zeros(2, 8, 9, 9), opset), {}).network
    total = summarise(network).total
    macs = 2 * (81 * (8 * 49 + 2 * 8 * 32) + 64)
    assert (total.parameters, total.macs) == (parameters(module), macs)
    functions = {node.op.text for node in network.nodes if node.op.kind == "activation"}
    assert functions == {"gelu", "hardsigmoid", "hardswish", "silu", "relu6"}
