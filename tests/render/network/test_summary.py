from __future__ import annotations

import io

import pytest
from rich.console import Console

from convprof import networks
from convprof.networks.summary import Listed, summarise
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Convolution
from convprof.problems.ties import Tie
from convprof.render.network.summary import (
    block_lines,
    list_report,
    plain_lines,
    summary_markdown,
    summary_report,
)
from convprof.studies.network.summary_answer import answer


def shown(report, what, width, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    report(console, what)
    return console.file.getvalue()


def test_wide():
    text = shown(summary_report, summarise(networks.network("lenet5", mb=2)), 120)
    assert [line.rstrip() for line in text.splitlines()] == [
        "lenet5 · input 2x1x32x32 · 12 layers",
        "layer     op               output   params   kMACs    share   FLOP/B",
        "────────────────────────────────────────────────────────────────────",
        "conv1     conv 5x5      2x6x28x28      156     235   28.2 %     10.3",
        "relu1     relu          2x6x28x28        -       -        -    0.125",
        "pool1     max 2x2 s2    2x6x14x14        -       -        -    0.200",
        "conv2     conv 5x5     2x16x10x10    2,416     480   57.6 %     30.2",
        "relu2     relu         2x16x10x10        -       -        -    0.125",
        "pool2     max 2x2 s2     2x16x5x5        -       -        -    0.200",
        "flatten   flatten           2x400        -       -        -        -",
        "fc1       linear            2x120   48,120    96.0   11.5 %    0.978",
        "relu3     relu              2x120        -       -        -    0.125",
        "fc2       linear             2x84   10,164    20.2    2.4 %    0.957",
        "relu4     relu               2x84        -       -        -    0.125",
        "fc3       linear             2x10      850    1.68    0.2 %    0.814",
        "",
        "parameters: 61,706, 241 KiB in f32",
        "MACs: 833,040 = 833 kMAC",
        "FLOPs: 1,704,740",
        "bytes: 477.1 KiB, layer by layer; 3.49 FLOP/byte",
        "MACs: convolutions (padding counts), linear and recurrent layers, attention",
        "FLOPs: 2 per MAC, 1 per addition, comparison, exp, ... of an element elsewhere",
        "bytes: f32, inputs and weights read once, results written once, caches cold",
        "parameters: what is learned; batch norm's running statistics are not",
    ]


@pytest.mark.parametrize("name", networks.names())
@pytest.mark.parametrize("width", [80, 120, 400])
def test_every_network_fits(name, width):
    text = shown(summary_report, summarise(networks.network(name)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "share   FLOP/B" in text
    assert "op" in text or width == 80
    last = networks.network(name).nodes[-1].name
    assert f"\n{last} " in text  # no block in the way of the last layer's name
    assert "\x1b" not in text


def test_blocks_are_above_their_layers_in_a_narrow_table():
    text = shown(summary_report, summarise(networks.network("resnet50")), 80)
    lines = [line.split("   ")[0].rstrip() for line in text.splitlines()]
    at = lines.index("layer1.0")
    assert lines[at : at + 3] == ["layer1.0", "  conv1", "  bn1"]
    wide = shown(summary_report, summarise(networks.network("resnet50")), 120)
    assert "\nlayer1.0.conv1 " in wide


@pytest.mark.parametrize("name", networks.names())
def test_no_layer_is_lost_in_blocks(name):
    summary = summarise(networks.network(name))
    block = ""
    names = []
    for line in block_lines(summary):
        if line.row is None:
            block = line.label
        elif line.label.startswith("  "):
            names.append(f"{block}.{line.label.strip()}")
        else:
            names.append(line.label)
    assert names == [line.label for line in plain_lines(summary)]


def test_markdown():
    text = summary_markdown(summarise(networks.network("mnist-cnn")))
    lines = text.splitlines()
    assert lines[0] == "### mnist-cnn · input 1x1x28x28 · 10 layers"
    assert lines[2] == "| layer | op | output | params | kMACs | share | FLOP/B |"
    assert lines[3] == "|---|---|---:|---:|---:|---:|---:|"
    assert lines[4] == "| conv1 | conv 5x5 | 1x32x28x28 | 832 | 627 | 4.5 % | 12.0 |"
    assert "- parameters: 3,274,634, 12.5 MiB in f32" in lines


@pytest.mark.parametrize("width", [80, 120])
def test_list(width):
    listed = [Listed.of(summarise(networks.network(name))) for name in networks.names()]
    text = shown(list_report, listed, width)
    assert max(map(len, text.splitlines())) <= width
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert rows["resnet50"][-3:] == ["25,557,032", "4.09", "19.5"]
    assert rows["lenet5"][1] == "1x32x32"


def test_a_shared_weight_is_said_and_counts_in_its_first_layer():
    net = Builder()
    net.add("first", Convolution.square(4, 3))
    net.add("second", Convolution.square(4, 3))
    tie = Tie("second", "weight", "first", "weight")
    network = Network("head", (1, 4, 8, 8), tuple(net.nodes), (tie,))
    lines = shown(summary_report, summarise(network), 120).splitlines()
    assert "parameters: 144, 576 B in f32; 1 weight is used by 2 layers" in lines
    first, second = (line.split() for line in lines[3:5])
    assert (first[4], second[4]) == ("144", "-")
    assert "1 weight is used by 2 layers" in summary_markdown(summarise(network))
    (shared,) = summarise(network).to_json()["shared"]
    assert (shared["node"], shared["owner"], shared["transposed"]) == ("second", "first", False)


def test_the_answer_says_where_the_work_and_the_parameters_are():
    given = answer(summarise(networks.network("lenet5", mb=2)), ["convprof", "network", "lenet5"])
    assert given.sentences == (
        "lenet5 has 61,706 parameters and 833 kMAC, 3.49 FLOP per byte.",
        "conv layers have 86 % of the MACs, linear layers 96 % of the parameters.",
    )
    assert given.command == "convprof network lenet5"
