"""``convprof show-features``: the effect of filters, a first layer and attention on a picture."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options
from convprof.cli.driver import EXIT_WRONG, Driver, Work
from convprof.cli.help_page import Command
from convprof.cli.number_types import Whole
from convprof.cli.outputs import STDOUT, Outputs
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.render.files import Text
    from convprof.studies.show_features.study import Study

SMALLEST, LARGEST = 16, 1024


@click.command("show-features", cls=Command)
@click.argument("image", required=False)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="The file of the sheet, .png or .svg; default features.png, if that does not exist.",
)
@click.option(
    "--strategy",
    "-s",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="Computes every convolution that it does not refuse; direct the others.",
)
@click.option(
    "--layout",
    type=click.Choice(["nchw", "nhwc"]),
    default="nchw",
    show_default=True,
    help="Layout of the activations.",
)
@options.threads_option("1", "N|all", "Number of threads.")
@click.option(
    "--size",
    type=Whole(SMALLEST, LARGEST),
    default=256,
    show_default=True,
    metavar="PIXELS",
    help="Pixels of the longer side; a larger picture is scaled down.",
)
@click.option(
    "--patch",
    type=Whole(1, LARGEST),
    metavar="PIXELS",
    help="Side of the patches that attention compares; default 16, or as suits the picture.",
)
@click.option(
    "--weights", metavar="FILE.npy", help="A first layer of your own: (k, 3, r, s), floating point."
)
@options.json_option("Write what was computed, and how long it took.")
@options.report_option()
@options.color_option
@options.quiet_option("No progress on stderr.")
def command(**flags: Any) -> int:  # fmt: skip
    """Draw what filters, a first layer and self-attention make of IMAGE: a PNG or JPEG file.

    One sheet: blurs, Sobel, Laplacian, Gabor filters, 16 filters like a trained first layer's, and
    attention over patches, each convolution computed through the strategy. Without IMAGE, a
    photograph that comes with matplotlib. Needs pip install 'convprof[plot]'.
    """
    from convprof.render.show_features import file

    path = file.require(flags["output"])
    outputs = Outputs.of(flags)
    json_path = flags["json_path"]
    same = json_path not in (None, STDOUT) and os.path.realpath(json_path) == os.path.realpath(path)
    if same:
        raise InputError(f"--json {json_path}: the sheet goes there; name another file")
    return Driver(outputs).run(_Work(_study(flags, path), path))


def _study(flags: dict[str, Any], path: str) -> Study:
    """Return the study of the flags; InputError for the first invalid flag."""
    from convprof.studies import preflight
    from convprof.studies.show_features import first_layer, picture
    from convprof.studies.show_features.step import Choice
    from convprof.studies.show_features.study import Study

    threads = from_flags.threads_from(flags["threads"])
    if len(threads) > 1:
        raise InputError(f"--threads {flags['threads']}: name one number of threads")
    weights = flags["weights"]
    bank = first_layer.read(weights) if weights is not None else first_layer.built_in()
    preflight.check_strategies([flags["strategy"]], [bank.problem(1, 1)])
    image = flags["image"]
    if image is not None and os.path.realpath(image) == os.path.realpath(path):
        raise InputError(f"--output {path}: is the picture itself; name another file")
    source = picture.sample() if image is None else image
    choice = Choice(flags["strategy"], flags["layout"], threads[0])
    return Study(picture.read(source, flags["size"]), choice, bank, flags["patch"])


class _Work(Work):
    """Compute every convolution; draw the sheet."""

    def __init__(self, study: Study, path: str) -> None:
        self._study, self._path = study, path
        self._computed = False

    def ready(self) -> bool:
        """Whether all parts of the sheet are computed."""
        return self._computed

    def steps(self) -> Iterator[str]:
        """Compute; yield the name of each part."""
        for name in self._study.run():
            yield f"computing: {name}"
        self._computed = True

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document."""
        return {"json": self._to_json}

    def _to_json(self) -> str:
        content = _document(self._study, self._path)
        return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def drawings(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the sheet."""
        return [(self._path, self._draw)]

    def _draw(self) -> None:
        from convprof.render.show_features import file
        from convprof.studies.show_features import panels

        file.write(_title(self._study), panels.sections(self._study), self._path)

    def show(self, console: Console) -> None:
        """Print a row for each convolution."""
        from convprof.render.show_features import table

        steps = list(self._study.computed.values())
        table.show(console, self._study.picture, steps, self._path)

    def so_far(self) -> str:
        """Return whether the sheet is drawn: it is never drawn in part."""
        return "the sheet is drawn" if self.ready() else "nothing is drawn before all is computed"

    def status(self) -> int:
        """Return 3 if a result is wrong."""
        wrong = any(step.wrong for step in self._study.computed.values())
        return EXIT_WRONG if wrong else 0


def _title(study: Study) -> str:
    from convprof.studies.show_features.sheet import file_name

    choice = study.choice
    threads = f"{choice.threads} thread{'s' if choice.threads > 1 else ''}"
    name = file_name(study.picture.name)
    return f"{name} through convprof · {choice.strategy} · {choice.layout} · {threads}"


def _document(study: Study, path: str) -> dict[str, Any]:
    from convprof.render.show_features import table
    from convprof.results import envelope

    _, h, w = study.picture.rgb.shape
    grid = study.grid
    return envelope(
        "features",
        picture={"name": study.picture.name, "size": list(study.picture.size), "shown": [w, h]},
        settings=study.choice,
        steps=table.to_json(list(study.computed.values())),
        attention={
            "patch": grid.patch,
            "rows": grid.rows,
            "columns": grid.columns,
            "queries": [{"name": q.name, "patch": q.token} for q in study.queries],
        },
        sheet=path,
    )
