"""`convprof network` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest

from convprof import cli, networks


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("name", networks.names())
def test_summary(name, capsys):
    status, out, err = run(capsys, "network", name, "--summary")
    assert (status, err) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0].startswith(f"{name} · input 1x")
    for node in networks.network(name).nodes:
        assert any(line.startswith(f"{node.name}  ") for line in lines)


def test_sizes(capsys):
    status, out, _ = run(capsys, "network", "ViT-B16", "--summary", "--image", 384, "--mb", 4)
    assert status == 0
    assert out.startswith("vit-b16 · input 4x3x384x384 ·")
    assert "4x577x768" in out


def test_json_and_nothing_else(capsys, invalid):
    status, out, _ = run(capsys, "network", "resnet50", "--summary", "--json", "-")
    document = json.loads(out)
    assert status == 0
    assert invalid(document) == []
    assert document["network"]["totals"]["parameters"] == 25_557_032
    assert document["network"]["totals"]["macs"] == 4_089_184_256
    assert len(document["network"]["layers"]) == 175


def test_csv_and_markdown_files(capsys, tmp_path):
    table, page = tmp_path / "table.csv", tmp_path / "page.md"
    words = ["network", "lenet5", "--summary", "--csv", table, "--markdown", page]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert out.startswith("lenet5")
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert sum(int(row["parameters"]) for row in rows) == 61_706
    assert rows[0]["inputs"] == "1x1x32x32"
    assert rows[0]["op"] == "conv 5x5"
    assert page.read_text().startswith("### lenet5")


def test_list(capsys, invalid):
    status, out, _ = run(capsys, "network", "--list")
    assert status == 0
    for name in networks.names():
        assert f"\n{name} " in out
    _, out, _ = run(capsys, "network", "--list", "--json", "-")
    document = json.loads(out)
    assert invalid(document) == []
    found = {each["name"]: each for each in document["networks"]}
    assert list(found) == networks.names()
    assert found["vit-h14"]["totals"]["parameters"] == 632_045_800
    _, out, _ = run(capsys, "network", "--list", "--csv", "-")
    assert [row["name"] for row in csv.DictReader(io.StringIO(out))] == networks.names()
    _, out, _ = run(capsys, "network", "--list", "--markdown", "-")
    assert "| resnet50 | 3x224x224 | 175 | 54 | 25,557,032 | 4.09 | 19.5 |" in out


CASES = [
    ("network", "convprof: name a network, e.g. resnet50 --summary, or use --list"),
    ("network resnet5 --summary", "convprof: unknown network 'resnet5': did you mean resnet50 or"),
    (
        "network vit-b16 --summary --image 225",
        "convprof: vit-b16: --image 225: must be a multiple of 16, the side of a patch",
    ),
    ("network vgg16 --summary --image 31", "convprof: vgg16: --image 31: must be at least 32"),
    ("network vgg16 --summary --image 0", "convprof: vgg16: --image 0: must be at least 32"),
    ("network vgg16 --summary --mb 0", "convprof: vgg16: --mb 0: must be at least 1"),
    ("network resnet50 --summary --image 1073741824", "convprof: resnet50: input of 1x3x10737418"),
    ("network vit-b16 --summary --image 1600000", "convprof: vit-b16: "),
    ("network --list resnet50", "convprof: --list shows every network as published: leave out res"),
    ("network --list --mb 2", "convprof: --list shows every network as published: leave out --mb"),
    ("network --list --summary", "convprof: --list shows every network as published: leave out --"),
    ("network lenet5 --summary --trace x", "convprof: --summary measures nothing: leave out --tr"),
    ("network lenet5 --pass forward --trace x", "convprof: --trace x: passes have no timeline"),
    ("network lenet5 --summary --image big", "convprof network: Invalid value for '--image'"),
    (
        "network lenet5 --summary --json /no/such/x",
        "convprof: --json /no/such/x: cannot be written",
    ),
]


@pytest.mark.parametrize(("words", "message"), CASES, ids=[words for words, _ in CASES])
def test_one_clear_line(words, message, capsys):
    status, out, err = run(capsys, *words.split())
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from convprof import cli; cli._status(['network', '--list', '--quiet']);"
        "sys.exit(' '.join({'numba', 'llvmlite', 'matplotlib', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
