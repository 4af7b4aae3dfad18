"""``--plot`` of the commands that measure contestants, networks and the machine."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET

import pytest

from convprof import cli

QUICK = ["--budget", "0.002", "--rounds", "6", "-q"]
CONV = "mb1ic8ih9oc16oh9kh3ph1"
NETWORK = ["network", "lenet5", "--budget", "0.002", "-t", "1", "-q"]
COMMANDS = {
    "run": ["run", CONV, "-s", "tiled,microkernel", "-t", "1", *QUICK],
    "run of several problems": ["run", "8x8:8x8", "9x8:8x8", "-s", "tiled,packed", *QUICK],
    "layouts": ["compare", "layouts", CONV, "-s", "tiled,microkernel", "-t", "1", *QUICK],
    "peers": ["compare", "peers", "8x8:8x8", "-s", "tiled,blas", "-t", "1", *QUICK],
    "network": NETWORK,
    "plan": [*NETWORK, "--plan"],
    "passes": [*NETWORK, "--image", "16", "--pass", "forward", "--tune", "off"],
    "ceilings": ["ceilings", "-t", "1", "-q"],
    "instructions": ["instructions", "--match", "fma f32 scalar", "-q"],
}
SVG = "{http://www.w3.org/2000/svg}text"
needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None,
    reason="matplotlib not installed: pip install 'convprof[plot]'",
)


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


@needs_matplotlib
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_picture_with_a_title_a_date_and_bars(capsys, tmp_path, words):
    path = tmp_path / "x.svg"
    status, _, err = run(capsys, *words, "--plot", path)
    assert status == 0, err
    texts = [node.text or "" for node in ET.fromstring(path.read_bytes()).iter(SVG)]  # noqa: S314  # our own
    assert len(texts) > 5
    assert any(re.search(r"\b20\d\d-\d\d-\d\d$", text) for text in texts)


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_without_matplotlib_it_is_one_line_before_anything_is_measured(
    capsys, tmp_path, monkeypatch, words
):
    monkeypatch.setattr("convprof.render.charts.picture.EXTRA", "no_such_package")
    status, out, err = run(capsys, *words, "--plot", tmp_path / "x.svg")
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "pip install 'convprof[plot]'" in err


@needs_matplotlib
def test_two_flags_with_one_file_are_refused(capsys, tmp_path):
    path = tmp_path / "x.svg"
    status, out, err = run(capsys, *COMMANDS["run"], "--plot", path, "--json", path)
    assert (status, out) == (2, "")
    assert err == f"convprof: --plot {path}: --json writes there; name another file\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--list"], "--list shows every network as published: leave out --plot"),
        (["lenet5", "--summary"], "--summary measures nothing: leave out --plot"),
    ],
)
def test_a_network_that_is_not_run_has_no_picture(capsys, words, text):
    status, _, err = run(capsys, "network", *words, "--plot", "x.svg")
    assert status == 2
    assert text in err
