"""Programs that call PyTorch as convprof does: plainly, and with weights packed beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems.attention import CAUSAL
from convprof.studies.repro.scripts import program

if TYPE_CHECKING:
    from convprof.studies.repro.call import ReproCall

_IMPORTS = ("numpy as np", "torch")
_PACKED = """
try:  # as torch.compile calls it with frozen weights; the operators may change
{attempt}
except (AttributeError, RuntimeError, TypeError) as error:
    print(f"{name}: not in this PyTorch ({{error}})")
"""


def convolution(call: ReproCall) -> str:
    """Return a program for a convolution."""
    p = call.problem
    top, left, bottom, right = p.pads
    pad, image = (top, left), "x"
    if pad != (bottom, right):
        pad, image = (0, 0), f"torch.nn.functional.pad(x, {(left, right, top, bottom)})"
    place = f"{pad}, {p.stride}, {p.dilation}, {p.groups}"
    order = "channels_last" if call.layout == "nhwc" else "contiguous_format"
    plain = (
        f"torch.convolution({image}, w, None, {p.stride}, {pad}, {p.dilation}, False, (0, 0), "
        f"{p.groups})"
    )
    attempt = f"""    packed = torch.ops.mkldnn._reorder_convolution_weight(
        torch.from_numpy(weights), {place}, list(({image}).shape)
    )
    add(
        "packed weights",
        lambda: torch.ops.mkldnn._convolution_pointwise(
            {image}, packed, None, {place}, "none", [], ""
        ),
    )"""
    body = f"""
torch.set_num_threads(THREADS)
ORDER = torch.{order}
x = torch.from_numpy(image).to(memory_format=ORDER)
w = torch.from_numpy(weights).to(memory_format=ORDER)
calls = {{}}


def add(name, call):
    in_order = call().is_contiguous(memory_format=ORDER)
    calls[name] = call if in_order else lambda: call().contiguous(memory_format=ORDER)


add("torch.convolution", lambda: {plain})
{_only_f32(call, _PACKED.format(attempt=attempt, name="packed weights").strip())}
"""
    return program(call, _IMPORTS, ("image", "weights"), body)


def product(call: ReproCall) -> str:
    """Return a program for a matrix product."""
    g = call.problem
    name = "bmm" if g.batch > 1 else "mm"
    attempt = f"""    turned = w.t().contiguous()
    packed = torch.ops.mkl._mkl_reorder_linear_weight(turned, {g.m})
    linear = torch.ops.mkl._mkl_linear.default
    linear(x, packed, turned, None, {g.m})
    calls["packed weights"] = lambda: linear(x, packed, turned, None, {g.m})"""
    packed = _PACKED.format(attempt=attempt, name="packed weights").strip() if g.batch == 1 else ""
    body = f"""
torch.set_num_threads(THREADS)
x, w = torch.from_numpy(a), torch.from_numpy(b)
y = torch.empty({tuple(g.c_shape)}, dtype=x.dtype)
calls = {{"torch.{name}": lambda: torch.{name}(x, w, out=y)}}
{_only_f32(call, packed)}
"""
    return program(call, _IMPORTS, ("a", "b"), body)


def attention(call: ReproCall) -> str:
    """Return a program for attention."""
    p = call.problem
    settings, names = "", ["queries", "keys_and_values"]
    if p.mask_shape is not None:
        settings, names = ", torch.from_numpy(mask)", [*names, "mask"]
    elif p.mask == CAUSAL and p.earlier:
        every = f"torch.ones({p.tokens}, {p.keys}, dtype=torch.bool)"
        settings = f", {every}.tril({p.earlier})"
    elif p.mask == CAUSAL:
        settings = ", is_causal=True"
    settings += ", enable_gqa=True" * (p.sharing > 1)
    body = f"""
torch.set_num_threads(THREADS)
q = torch.from_numpy(queries)
k, v = torch.from_numpy(keys_and_values)
attend = torch.nn.functional.scaled_dot_product_attention
calls = {{"scaled_dot_product_attention": lambda: attend(q, k, v{settings})}}
"""
    return program(call, _IMPORTS, names, body)


def _only_f32(call: ReproCall, text: str) -> str:
    """Return the text where PyTorch has operators for packed weights."""
    return text if call.dtype == "f32" else ""
