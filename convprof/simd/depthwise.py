"""Register tiles of a depthwise convolution: pixels in registers, vectors along the channels.

    c[i, ch]  =  sum over taps t of  a[pixels[i] + a_t + ch] * b[b_t, ch]

Each multiply-add reads its own input from memory, so loads and multiply-adds are in balance on a
core with two ports for each; a tap's weights are loaded once for all pixels of the tile.
"""

from __future__ import annotations

from dataclasses import dataclass

from convprof.simd.writer import Writer


@dataclass(frozen=True)
class DepthwiseTile:
    """One kernel: ``void tile(T *a, T *b, T *c)``. Offsets and lengths in elements."""

    dtype: str
    lanes: int
    pixels: tuple[int, ...]
    """Where each pixel's first channel starts in ``a``."""
    taps: tuple[tuple[int, int], ...]
    """Where each tap lies: ``a_t`` from the pixel's start, ``b_t`` in rows of ``b``."""
    c_pixels: tuple[int, ...]
    """Where each pixel's first channel starts in ``c``."""
    channels: int
    b_row: int
    """Elements from one row of ``b`` to the next: the channels, rounded up to whole vectors."""
    fused: bool = True
    """Whether the CPU multiplies and adds in one instruction."""

    @property
    def fmas(self) -> int:
        """Vector multiply-adds in one execution."""
        return len(self.pixels) * len(self.taps) * (self.b_row // self.lanes)

    def ir(self, name: str) -> str:
        """Return the LLVM IR of the kernel."""
        whole, rest = divmod(self.channels, self.lanes)
        w = Writer(self.dtype, self.lanes, fused=self.fused)
        loop, end = "", "  br label %done"
        if whole:
            self._body(w, "%ch", None)
            body, w.lines = "\n".join(w.lines), []
            loop = f"""loop:
  %ch = phi i64 [ 0, %entry ], [ %next, %loop ]
{body}
  %next = add i64 %ch, {self.lanes}
  %more = icmp slt i64 %next, {whole * self.lanes}
  br i1 %more, label %loop, label %done
"""
            end = "  br label %loop"
        tail = ""
        if rest:
            self._body(w, str(whole * self.lanes), w.mask(rest))
            tail = "\n".join(w.lines)
        return f"""{w.declarations()}
define void @{name}(ptr %a, ptr %b, ptr %c) {{
entry:
{end}
{loop}done:
{tail}
  ret void
}}
"""

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        """Write one vector of channels for all pixels."""
        a, b, c = (w.at(pointer, channel) for pointer in ("%a", "%b", "%c"))
        sums = ["zeroinitializer"] * len(self.pixels)
        for a_tap, b_tap in self.taps:
            weights = w.load(w.at(b, b_tap * self.b_row))
            for i, pixel in enumerate(self.pixels):
                sums[i] = w.fma(weights, w.load(w.at(a, pixel + a_tap), mask), sums[i])
        for total, pixel in zip(sums, self.c_pixels, strict=True):
            w.store(total, w.at(c, pixel), mask)
