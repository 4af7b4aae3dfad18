"""One spatial axis of a convolution: how input, filter, stride, padding and output relate."""

from __future__ import annotations

from dataclasses import dataclass

from convprof.integers import ceil_div


def all_pads(pad: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right) from these four, or from (height, width) of both sides."""
    top, left, *rest = pad
    bottom, right = rest or (top, left)
    return top, left, bottom, right


@dataclass(frozen=True, slots=True)
class Axis:
    """``size`` inputs, ``taps`` filter taps; a dilation of 1 means dense. Elements throughout."""

    size: int
    taps: int
    stride: int
    dilation: int

    @property
    def span(self) -> int:
        """The number of inputs that the filter spans, the gaps of a dilated filter included."""
        return (self.taps - 1) * self.dilation + 1

    def out(self, begin: int, end: int) -> int:
        """Return the output size for that padding; 0 or less when the filter does not fit."""
        return (self.size + begin + end - self.span) // self.stride + 1

    def need(self, out: int) -> int:
        """Return the least total padding for ``out`` outputs; negative when inputs are left."""
        return (out - 1) * self.stride + self.span - self.size

    def end_for(self, out: int, begin: int) -> int | None:
        """Return the end padding that gives ``out`` outputs; None when no padding does.

        With a stride, several paddings do, and all mean the same computation. The symmetric one is
        returned if it is among them, else the smallest.
        """
        if self.out(begin, begin) == out:
            return begin
        end = max(0, self.need(out) - begin)
        return end if self.out(begin, end) == out else None

    def is_doubtful(self, begin: int, end: int, *, deduced: bool = False) -> bool:
        """Whether this padding at the end is probably a mistake in the output size.

        It is if most outputs are made of padding alone. It is too if some are, and the input has
        the size to which the output shrinks: a transposed convolution has such sizes. ``deduced``
        says that the padding at the beginning was not given either. A few outputs of padding alone
        are usual where a network rounds its sizes up.
        """
        out = self.out(begin, end)
        alone = out + (self.size + begin) // -self.stride
        if alone <= 0 or (end <= begin and not deduced):
            return False
        transposed = Axis(out, self.taps, self.stride, self.dilation).out(begin, begin) == self.size
        if deduced:
            alone += max(0, begin - self.span + self.stride) // self.stride
        return 2 * alone > out or transposed

    def same(self) -> tuple[int, int]:
        """Return TensorFlow's SAME padding: ceil(size / stride) outputs, the extra at the end."""
        total = max(0, self.need(ceil_div(self.size, self.stride)))
        return total // 2, total - total // 2

    def touched(self, out: int, begin: int) -> int:
        """Return how many distinct inputs in ``[0, size)`` some tap reads for some output.

        A tap reads an arithmetic progression. Progressions of equal residue modulo the stride
        overlap and come in rising order, so only the positions after the last one are new.
        """
        past: dict[int, int] = {}  # residue -> the first position not yet counted
        count = 0
        for tap in range(self.taps):
            first = tap * self.dilation - begin
            residue = first % self.stride
            last = first + (out - 1) * self.stride
            low = max(first, past.get(residue, residue))
            high = min(last, residue + (self.size - 1 - residue) // self.stride * self.stride)
            count += max(0, (high - low) // self.stride + 1)
            past[residue] = max(residue, last + self.stride)
        return count
