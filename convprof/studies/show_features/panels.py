"""What the sheet shows of a study: sections of panels, and how each is to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import units
from convprof.studies.show_features import filters, first_layer
from convprof.studies.show_features.sheet import Frame, Panel, Section, file_name, limit
from convprof.studies.show_features.study import (
    BLUR_SIDE,
    BOX,
    FIRST,
    GABOR,
    GABOR_SIDE,
    GABOR_WAVELENGTH,
    GAUSSIAN,
    LAPLACIAN,
    SOBEL,
)  # fmt: skip

if TYPE_CHECKING:
    from convprof.studies.show_features.study import Study

    Array = np.ndarray[Any, np.dtype[np.float32]]

MOST_MAPS = 16
"""Maps of a first layer that are shown; all are computed."""
_EDGE_RULE = (
    "Brightness from 0, black, to 1, white. Beyond the border its pixels are repeated, so that the "
    "frame makes no edge."
)
_SIGN_RULE = (
    "Where a scale is ±, grey is 0, white positive, black negative; 99.5 % of the pixels are "
    "within it. Slopes are in brightness per pixel. The filter is in the corner."
)
_BUILT_IN = (
    "These filters are made by formula, not trained; learned first layers look much like them "
    "(Krizhevsky et al. 2012, figure 3)."
)


def sections(study: Study) -> list[Section]:
    """Return what the sheet shows, from top to bottom, of a study that has run."""
    return [_blurs(study), _edges(study), _gabor(study), _layer(study), _attention(study)]


def _blurs(study: Study) -> Section:
    colour = np.moveaxis(study.picture.rgb, 0, 2)
    h, w = study.picture.grey.shape
    before = "x".join(map(str, study.picture.size))
    panels = [
        Panel("the picture", colour, note=f"{before}, shown {w}x{h}"),
        Panel("its brightness", study.picture.grey, note="what the filters get"),
    ]
    for name in (BOX, GAUSSIAN):
        step = study.computed[name].step
        kernel = step.second[0, 0]
        title = f"{name} {BLUR_SIDE}x{BLUR_SIDE}"
        plane = np.clip(study.output(name)[0, 0], 0, 1)
        panels.append(Panel(title, plane, kernel=kernel, note=_note(study, name)))
    return Section("Blur", _EDGE_RULE, tuple(panels))


def _edges(study: Study) -> Section:
    across, down = study.output(SOBEL)[0]
    steep = np.hypot(across, down)
    end = limit([across, down])
    first = study.computed[SOBEL].step.second[:, 0]
    last = study.computed[LAPLACIAN].step.second[0, 0]
    second = study.output(LAPLACIAN)[0, 0]
    panels = (
        Panel("Sobel x", across, end, signed=True, kernel=first[0], note=_note(study, SOBEL)),
        Panel("Sobel y", down, end, signed=True, kernel=first[1], note=_note(study, SOBEL)),
        Panel("gradient magnitude", steep, limit([steep]), note="√(x² + y²) of both Sobels"),
        Panel("Laplacian", second, limit([second]), signed=True, kernel=last, note=_note(study, LAPLACIAN)),  # noqa: E501
    )  # fmt: skip
    return Section("Edges", _SIGN_RULE, panels)


def _gabor(study: Study) -> Section:
    planes = study.output(GABOR)[0]
    kernels = study.computed[GABOR].step.second[:, 0]
    end = limit(list(planes))
    panels = tuple(
        Panel(f"Gabor, {name} stripes", plane, end, signed=True, kernel=kernel)
        for name, plane, kernel in zip(filters.DIRECTIONS, planes, kernels, strict=True)
    )
    caption = (
        f"Waves of {GABOR_WAVELENGTH:g} pixels under a bell, {GABOR_SIDE}x{GABOR_SIDE}, the "
        "filter in the corner: each answers to stripes of its own direction. All on one scale."
    )
    return Section("A Gabor bank", _joined(caption, _note(study, GABOR)), panels)


def _layer(study: Study) -> Section:
    maps = first_layer.max_pool(np.maximum(study.output(FIRST)[0], 0))[:MOST_MAPS]
    kernels = [_visible(kernel) for kernel in study.bank.weights[:MOST_MAPS]]
    panels = tuple(
        Panel(name, plane, limit([plane]), kernel=kernel)
        for name, plane, kernel in zip(study.bank.names, maps, kernels, strict=False)
    )
    k, _, r, s = study.bank.weights.shape
    what, remark = f"{k} colour and edge filters", _BUILT_IN
    if study.bank.source:
        shown = f", the first {MOST_MAPS} shown" if k > MOST_MAPS else ""
        what, remark = (
            f"{k} filter{'s' if k > 1 else ''} of {file_name(study.bank.source)}{shown}",
            "",
        )
    title = f"A first layer: {what}, {r}x{s} stride {first_layer.STRIDE}, ReLU"
    caption = _joined(
        "Then the 3x3 maximum, stride 2. Black is 0, each map has its own white.",
        remark,
        _note(study, FIRST),
    )
    return Section(title, caption, panels, small=True)


def _attention(study: Study) -> Section:
    grid, grey = study.grid, study.picture.grey
    frames = [_frame(study, number) for number in range(len(study.queries))]
    h, w = grid.rows * grid.patch, grid.columns * grid.patch
    whole = np.moveaxis(study.picture.rgb, 0, 2)[:h, :w]
    cut = f"{grid.columns}x{grid.rows} patches of {grid.patch}x{grid.patch} pixels"
    panels = [Panel("the queries", whole, frames=tuple(frames), note=cut)]
    for number, query in enumerate(study.queries):
        row = study.weights[query.token]
        others = np.delete(row, query.token)
        end = float(others.max(initial=0)) or 1.0
        panels.append(
            Panel(
                f"{number + 1}: {query.name}",
                grey[:h, :w],
                end,
                note=f"0 to {_per_cent(end)}, itself {_per_cent(row[query.token])}",
                frames=(frames[number],),
                heat=row.reshape(grid.rows, grid.columns),
                patch=grid.patch,
            )
        )
    features = study.tokens.shape[1]
    caption = (
        f"softmax(q kᵀ / √{features}): how a patch shares its attention out over all; dark is "
        "nothing, bright yellow the most that goes to another patch. Shared out evenly, each "
        f"would have {_per_cent(1 / grid.tokens)}. A token is {features} numbers: colour, "
        "contrast, directions of edges. q and k are the tokens themselves, no projection is "
        "trained: this shows what attention compares, not what a network learned."
    )
    return Section("Self-attention over patches", caption, tuple(panels))


def _frame(study: Study, number: int) -> Frame:
    row, column = divmod(study.queries[number].token, study.grid.columns)
    patch = study.grid.patch
    return Frame(str(number + 1), column * patch, row * patch, patch)


def _note(study: Study, name: str) -> str:
    """Return the strategy that replaced the chosen strategy in a step, and why, or nothing."""
    return study.computed[name].fallback


def _per_cent(share: float) -> str:
    return f"{units.digits(100 * share)} %"


def _visible(kernel: Array) -> Array:
    """Return a filter (3, r, s) as colours (r, s, 3): 0 is mid-grey."""
    end = float(np.abs(kernel).max()) or 1.0
    return np.moveaxis(np.clip(0.5 + kernel / (2 * end), 0, 1), 0, 2)


def _joined(*sentences: str) -> str:
    """Return sentences one after the other; a bare clause gets a capital and a full stop."""
    return " ".join(f"{s[0].upper()}{s[1:].removesuffix('.')}." for s in sentences if s)
