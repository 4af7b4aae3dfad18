"""Register-tile kernels: a block of the result stays in vector registers while the sum runs.

    c[i, :]  (+)=  sum over segments g, steps t of  a[rows[i] + a_g + t] * b[b_g + t, :]

A kernel is generated for one shape of tile, with every stride and every count in it a constant, so
that its inner loop is loads, broadcasts and fused multiply-adds and nothing else. Rows of ``a`` may
start anywhere, which makes a convolution read in place (rows are pixels, segments are filter rows)
the same kernel as a matrix product (one segment).
"""

from __future__ import annotations

from dataclasses import dataclass

LLVM = {"f32": ("float", 4), "f64": ("double", 8)}
"""dtype -> (LLVM's name, bytes per element)."""

UNROLL = 4
"""Steps per turn of the inner loop, where the run allows; the loop's counter becomes free."""


@dataclass(frozen=True)
class Tile:
    """One kernel: ``void tile(T *a, T *b, T *c)``. Offsets and lengths in elements."""

    dtype: str
    lanes: int
    rows: tuple[int, ...]
    """Where each row of ``a`` starts."""
    segments: tuple[tuple[int, int], ...]
    """Where each run of the reduction starts: ``a_g`` from a row's start, ``b_g`` in rows of b."""
    run: int
    """Steps of the reduction in a segment, contiguous in ``a``."""
    vectors: int
    """Vectors across: a row of ``b`` is ``vectors * lanes`` elements, packed."""
    c_rows: tuple[int, ...]
    """Where each row of ``c`` starts."""
    columns: int
    """Columns of ``c`` that exist; the last vector is masked if they do not fill it."""
    accumulate: bool = False
    """Add to ``c`` rather than overwrite it."""
    prefetch: int = 0
    """Fetch ``b`` this many bytes ahead; 0 not at all."""

    @property
    def fmas(self) -> int:
        """Vector multiply-adds in one execution."""
        return len(self.rows) * self.vectors * self.run * len(self.segments)


class _Writer:
    """Collects the lines of one function."""

    def __init__(self, tile: Tile) -> None:
        self.tile = tile
        self.element, self.size = LLVM[tile.dtype]
        self.vector = f"<{tile.lanes} x {self.element}>"
        self.suffix = f"v{tile.lanes}f{8 * self.size}"
        self.lines: list[str] = []
        self._names = 0

    def add(self, expression: str) -> str:
        """Append ``%n = expression`` and return the name."""
        name = f"%t{self._names}"
        self._names += 1
        self.lines.append(f"  {name} = {expression}")
        return name

    def at(self, pointer: str, offset: int | str) -> str:
        """Return ``pointer`` advanced by elements."""
        return self.add(f"getelementptr {self.element}, ptr {pointer}, i64 {offset}")

    def broadcast(self, pointer: str) -> str:
        """Return a vector of the element at ``pointer``."""
        scalar = self.add(f"load {self.element}, ptr {pointer}, align {self.size}")
        one = self.add(f"insertelement {self.vector} poison, {self.element} {scalar}, i64 0")
        zeros = f"<{self.tile.lanes} x i32> zeroinitializer"
        return self.add(f"shufflevector {self.vector} {one}, {self.vector} poison, {zeros}")

    def load(self, pointer: str) -> str:
        """Return the vector at ``pointer``."""
        return self.add(f"load {self.vector}, ptr {pointer}, align {self.size}")

    def fma(self, a: str, b: str, c: str) -> str:
        """Return ``a * b + c``."""
        v = self.vector
        return self.add(f"call {v} @llvm.fma.{self.suffix}({v} {a}, {v} {b}, {v} {c})")


def tile_ir(tile: Tile, name: str) -> str:
    """Return the LLVM IR of one kernel (without the declarations it needs)."""
    if not tile.fmas:
        return _zeros_ir(tile, name)
    w = _Writer(tile)
    cells = [(i, v) for i in range(len(tile.rows)) for v in range(tile.vectors)]
    unroll = next(u for u in range(min(UNROLL, tile.run), 0, -1) if tile.run % u == 0)
    start = [_initial(w, i, v) for i, v in cells]
    head, w.lines = w.lines, []
    table = f"@{name}_segments"
    width = tile.vectors * tile.lanes
    offsets = ", ".join(f"i64 {a}, i64 {b * width}" for a, b in tile.segments)
    count = len(tile.segments)

    # inner loop
    acc = [f"%acc{i}_{v}" for i, v in cells]
    for u in range(unroll):
        a = w.at("%a_now", u) if u else "%a_now"
        across = [
            w.load(w.at("%b_now", (u * tile.vectors + v) * tile.lanes)) for v in range(tile.vectors)
        ]
        if tile.prefetch:
            _prefetch(w, u)
        for i, row in enumerate(tile.rows):
            scalar = w.broadcast(w.at(a, row))
            for v in range(tile.vectors):
                k = i * tile.vectors + v
                acc[k] = w.fma(scalar, across[v], acc[k])
    inner, w.lines = w.lines, []
    for k, (i, v) in enumerate(cells):
        _store(w, acc[k], i, v)
    tail, w.lines = w.lines, []

    vector = w.vector
    carried = [(f"%acc{i}_{v}", f"%seg{i}_{v}", acc[k], start[k]) for k, (i, v) in enumerate(cells)]
    seg_phis = "\n".join(
        f"  {seg} = phi {vector} [ {first}, %entry ], [ {last}, %segment_end ]"
        for _, seg, last, first in carried
    )
    acc_phis = "\n".join(
        f"  {now} = phi {vector} [ {seg}, %segment ], [ {last}, %step ]"
        for now, seg, last, _ in carried
    )
    nl = "\n"
    return f"""
{table} = private constant [{2 * count} x i64] [{offsets}]
define void @{name}(ptr %a, ptr %b, ptr %c) {{
entry:
{nl.join(head)}
  br label %segment
segment:
  %g = phi i64 [ 0, %entry ], [ %g_next, %segment_end ]
{seg_phis}
  %a_where = getelementptr [2 x i64], ptr {table}, i64 %g
  %b_where = getelementptr i64, ptr %a_where, i64 1
  %a_offset = load i64, ptr %a_where
  %b_offset = load i64, ptr %b_where
  %a_segment = getelementptr {w.element}, ptr %a, i64 %a_offset
  %b_segment = getelementptr {w.element}, ptr %b, i64 %b_offset
  br label %step
step:
  %t = phi i64 [ 0, %segment ], [ %t_next, %step ]
  %a_now = phi ptr [ %a_segment, %segment ], [ %a_next, %step ]
  %b_now = phi ptr [ %b_segment, %segment ], [ %b_next, %step ]
{acc_phis}
{nl.join(inner)}
  %a_next = getelementptr {w.element}, ptr %a_now, i64 {unroll}
  %b_next = getelementptr {w.element}, ptr %b_now, i64 {unroll * tile.vectors * tile.lanes}
  %t_next = add i64 %t, {unroll}
  %t_more = icmp ult i64 %t_next, {tile.run}
  br i1 %t_more, label %step, label %segment_end
segment_end:
  %g_next = add i64 %g, 1
  %g_more = icmp ult i64 %g_next, {count}
  br i1 %g_more, label %segment, label %done
done:
{nl.join(tail)}
  ret void
}}
"""


def _zeros_ir(tile: Tile, name: str) -> str:
    """Return the kernel of an empty sum: it writes zeros, or adds nothing."""
    w = _Writer(tile)
    if not tile.accumulate:
        for i in range(len(tile.rows)):
            for v in range(tile.vectors):
                _store(w, "zeroinitializer", i, v)
    body = "\n".join(w.lines)
    return f"define void @{name}(ptr %a, ptr %b, ptr %c) {{\n{body}\n  ret void\n}}\n"


def declarations(dtype: str, lanes: int) -> str:
    """Return the intrinsics that kernels of that type and width call."""
    element, size = LLVM[dtype]
    vector, suffix = f"<{lanes} x {element}>", f"v{lanes}f{8 * size}"
    mask = f"<{lanes} x i1>"
    return f"""
declare {vector} @llvm.fma.{suffix}({vector}, {vector}, {vector})
declare {vector} @llvm.masked.load.{suffix}.p0(ptr, i32, {mask}, {vector})
declare void @llvm.masked.store.{suffix}.p0({vector}, ptr, i32, {mask})
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
"""


def _mask(tile: Tile, v: int) -> str | None:
    """Return the mask of the ``v``-th vector of a row; None if all its lanes exist."""
    alive = min(tile.lanes, tile.columns - v * tile.lanes)
    if alive >= tile.lanes:
        return None
    bits = ", ".join(f"i1 {int(lane < alive)}" for lane in range(tile.lanes))
    return f"<{tile.lanes} x i1> <{bits}>"


def _initial(w: _Writer, i: int, v: int) -> str:
    """Return the accumulator's first value: zero, or what ``c`` holds."""
    if not w.tile.accumulate:
        return "zeroinitializer"
    pointer = w.at("%c", w.tile.c_rows[i] + v * w.tile.lanes)
    mask = _mask(w.tile, v)
    if mask is None:
        return w.load(pointer)
    return w.add(
        f"call {w.vector} @llvm.masked.load.{w.suffix}.p0"
        f"(ptr {pointer}, i32 {w.size}, {mask}, {w.vector} zeroinitializer)"
    )


def _store(w: _Writer, value: str, i: int, v: int) -> None:
    pointer = w.at("%c", w.tile.c_rows[i] + v * w.tile.lanes)
    mask = _mask(w.tile, v)
    if mask is None:
        w.lines.append(f"  store {w.vector} {value}, ptr {pointer}, align {w.size}")
    else:
        w.lines.append(
            f"  call void @llvm.masked.store.{w.suffix}.p0"
            f"({w.vector} {value}, ptr {pointer}, i32 {w.size}, {mask})"
        )


def _prefetch(w: _Writer, u: int) -> None:
    """Fetch the row of ``b`` that comes ``prefetch`` bytes later, line by line."""
    row_bytes = w.tile.vectors * w.tile.lanes * w.size
    for line in range(0, row_bytes, 64):
        ahead = (u * row_bytes + line + w.tile.prefetch) // w.size
        pointer = w.at("%b_now", ahead)
        w.lines.append(f"  call void @llvm.prefetch.p0(ptr {pointer}, i32 0, i32 3, i32 1)")
