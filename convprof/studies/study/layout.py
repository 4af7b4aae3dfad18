"""NCHW against NHWC by kernels of the same idea, and what a stride costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof import networks
from convprof.measure.contestant import Contestant
from convprof.problems import Conv2d, as_convolution
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting, Strategy
from convprof.studies.study import advice
from convprof.studies.study.base import Study
from convprof.studies.study.costs import costs, element_bits
from convprof.studies.study.page import Figure, Finding, Page, Row, Section, Unit, apart
from convprof.studies.study.stride import Strides

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.strategies.base import Prepared
    from convprof.studies.study.base import Results

LAYERS = ("resnet50:layer1.0.conv2", "resnet50:layer4.1.conv2")
"""Layers of equally many multiply-adds: a large image of few channels, a small one of many."""
IDEAS = ("reordered", "tiled")
"""Strategies that are the same idea in both layouts: loops in memory order, and register tiles."""


class _InLayout(Strategy[Conv2d]):
    """A strategy on one layer."""

    kind = "conv2d"
    summary = "a strategy on one layer in one layout"

    def __init__(self, name: str, idea: str) -> None:
        self.name, self._idea = name, registry.find("conv2d", idea)

    def why_not(self, problem: Conv2d, setting: Setting) -> str | None:
        """Return why the strategy refuses."""
        return self._idea.why_not(problem, setting)

    def prepare(self, problem: Conv2d, setting: Setting) -> Prepared:
        """Prepare the strategy."""
        return self._idea.prepare(problem, setting)


class Layout(Study):
    """Two layers in both layouts, and strided reads, in the same rounds."""

    name: ClassVar[str] = "layout"

    def learn(self) -> Iterator[str]:
        """Measure the loads per cycle and the bandwidth of the caches."""
        dtype = self.options.dtype
        yield "loads per cycle"
        self._costs = costs(self.machine, dtype, element_bits(dtype))
        self._strides = Strides(dtype, self.machine.facts.caches)
        yield from self._strides.learn()
        layers = [layer for name in LAYERS for layer in networks.find(name, mb=1)]
        self._layers = [as_convolution(layer) for layer in layers]

    def contestants(self) -> list[Contestant]:
        """Return the layers in both layouts by each idea, and the strides."""
        pairs = [
            Contestant(
                _InLayout(_name(p, idea, layout), idea),
                p,
                Setting(layout=layout, dtype=self.options.dtype),
            )
            for p in self._layers
            for idea in IDEAS
            for layout in LAYOUTS
        ]
        return pairs + self._strides.contestants()

    def page(self) -> Page:
        """Return both tables."""
        results, dtype = self.results, self.options.dtype
        rows = [self._row(results, p, idea) for p in self._layers for idea in IDEAS]
        section = Section(
            "A convolution in both layouts, time in NHWC over time in NCHW",
            Unit("time in NHWC over time in NCHW", 1.0), tuple(rows),
            notes=(
                "in a row: elements side by side in the innermost loop of reordered",
            ),
        )  # fmt: skip
        reading = self._strides.section(results, self._costs)
        return Page(
            self.name,
            f"layout: NCHW and NHWC, and strides · {dtype}, 1 thread",
            {"dtype": dtype, "layers": [p.descriptor for p in self._layers]},
            (section, reading),
            (*self._findings(rows), *self._strides.findings(reading.rows)),
            answer=advice.layout(rows, reading.rows),
        )

    def _row(self, results: Results, p: Conv2d, idea: str) -> Row:
        nchw, nhwc = (_name(p, idea, layout) for layout in LAYOUTS)
        gain = results.ratio(nhwc, nchw)
        times = [results.seconds(name) for name in (nchw, nhwc)]
        return results.row(
            nhwc,
            {"layer": f"{p.c}x{p.h}x{p.w}", "strategy": idea},
            counted={
                "NCHW ms": times[0] and times[0].value * 1e3,
                "NHWC ms": times[1] and times[1].value * 1e3,
                "in a row": f"{p.q} | {p.k}",
            },
            expected=1.0,
            measured=Figure(gain.value, gain.low, gain.high) if gain else None,
            other=nchw,
        )

    def _findings(self, rows: list[Row]) -> Iterator[Finding]:
        for row in rows:
            if row.sure is None or row.variant["strategy"] != IDEAS[0]:
                continue
            nchw, nhwc = map(int, row.counted["in a row"].split(" | "))
            yield Finding(
                f"{row.variant['layer']}, {row.variant['strategy']}: both layouts do the same "
                "multiply-adds and read memory in order, so they take the same time",
                f"NHWC takes {row.sure.value:.2f} of the time of NCHW",
                row.ratio,
                _why(nchw, nhwc, row.ratio or 1.0) if apart(row.ratio) else "",
            )


def _why(nchw: int, nhwc: int, times: float) -> str:
    """Return what the lengths of the innermost loops explain: the longer loop is faster."""
    text = f"The innermost loop of NCHW has {nchw} contiguous elements, the one of NHWC {nhwc}"
    if (nhwc > nchw) == (times < 1):
        return f"{text}: the shorter, the more often it starts, and the less it fills vectors"
    return f"{text}, which does not explain it; these figures do not say what does"


def _name(p: Conv2d, idea: str, layout: str) -> str:
    return f"{idea} {p.c}x{p.h} in {layout}"
