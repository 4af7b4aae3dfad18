"""``convprof show-features``: what filters, a first layer and attention make of a picture."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.driver import EXIT_WRONG, STDOUT, Driver
from convprof.cli.outputs import Outputs
from convprof.errors import InputError

if TYPE_CHECKING:
    from convprof.studies.features.study import Study

SMALLEST, LARGEST = 16, 1024


@click.command("show-features")
@click.argument("image", required=False)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="Where the sheet goes, .png or .svg; default features.png, if there is none yet.",
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
@click.option(
    "--threads", "-t", default="1", show_default=True, metavar="N|all", help="Number of threads."
)
@click.option(
    "--size",
    type=click.IntRange(SMALLEST, LARGEST),
    default=256,
    show_default=True,
    help="Pixels of the longer side; a larger picture is scaled down.",
)
@click.option(
    "--patch",
    type=click.IntRange(1, LARGEST),
    metavar="PIXELS",
    help="Side of the patches that attention compares; default 16, or as suits the picture.",
)
@click.option(
    "--weights", metavar="FILE.npy", help="A first layer of your own: (k, 3, r, s), floating point."
)
@click.option(
    "--json", "json_path", metavar="FILE|-", help="Write what was computed, and how long it took."
)
@options.color_option
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def command(**flags: Any) -> int:  # fmt: skip
    """Draw what filters, a first layer and self-attention make of IMAGE, a PNG, JPEG or the like.

    One sheet: blurs, Sobel, Laplacian, Gabor filters, 16 filters like a trained first layer's, and
    attention over patches, each convolution computed through the strategy. Without IMAGE, a
    photograph that matplotlib brings along. Needs pip install 'convprof[plot]'.
    """
    from convprof.render.features import file

    path = file.require(flags["output"])
    driver = Driver(Outputs.of(flags))
    json_path = flags["json_path"]
    same = json_path not in (None, STDOUT) and os.path.realpath(json_path) == os.path.realpath(path)
    if same:
        raise InputError(f"--json {json_path}: the sheet goes there; name another file")
    study = _study(flags, path)
    _compute(study, driver)
    return _report(study, driver, path)


def _study(flags: dict[str, Any], path: str) -> Study:
    """Return what is to be computed; InputError for the first thing that makes no sense."""
    from convprof.studies import preflight
    from convprof.studies.features import first_layer, picture
    from convprof.studies.features.step import Choice
    from convprof.studies.features.study import Study

    threads = options.threads_from(flags["threads"])
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


def _compute(study: Study, driver: Driver) -> None:
    from convprof.render.progress import Progress

    with Progress(driver.stderr, quiet=driver.outputs.quiet) as progress:
        for name in study.run():
            progress.say(f"computing: {name}")


def _report(study: Study, driver: Driver, path: str) -> int:
    """Write the sheet and the document, print the table, and return the exit code."""
    from convprof.render.features import file, table
    from convprof.studies.features import panels

    steps = list(study.computed.values())

    def to_json() -> str:
        made = _document(study, path)
        return json.dumps(made, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    sheet = (path, lambda: file.write(_title(study), panels.sections(study), path))
    driver.files({"json": to_json}, [sheet])
    driver.show(lambda: table.show(driver.stdout, study.picture, steps, path))
    return driver.code(EXIT_WRONG if any(step.wrong for step in steps) else 0)


def _title(study: Study) -> str:
    from convprof.studies.features.sheet import file_name

    choice = study.choice
    threads = f"{choice.threads} thread{'s' if choice.threads > 1 else ''}"
    name = file_name(study.picture.name)
    return f"{name} through convprof · {choice.strategy} · {choice.layout} · {threads}"


def _document(study: Study, path: str) -> dict[str, Any]:
    from convprof.render.features import table
    from convprof.results import SCHEMA_VERSION, plain
    from convprof.version import __version__

    _, h, w = study.picture.rgb.shape
    grid = study.grid
    return {
        "schema_version": SCHEMA_VERSION,
        "tool_version": __version__,
        "picture": {"name": study.picture.name, "size": list(study.picture.size), "shown": [w, h]},
        "settings": plain(study.choice),
        "steps": table.to_json(list(study.computed.values())),
        "attention": {
            "patch": grid.patch,
            "rows": grid.rows,
            "columns": grid.columns,
            "queries": [{"name": q.name, "patch": q.token} for q in study.queries],
        },
        "sheet": path,
    }
