"""Every mistake a user can make ends with one line that names it, and exit code 2."""

from __future__ import annotations

import re

import pytest

from convprof import cli

CASES = [
    (
        "run 8x8:8x8 -s microkernel",
        "--strategy of gemm 'microkernel': known: auto, .*; microkernel is a strategy of conv2d",
    ),
    ("run -s tild", r"--strategy of conv2d 'tild': did you mean tiled\?"),
    ("run -s ,", r"--strategy ',': name at least one"),
    ("compare mixers --with ,", r"--with ',': name at least one"),
    ("run -s naive", r"'naive': known: auto, direct, fft"),
    ("run -s nosuch", r"'nosuch': known: auto, direct, .*, torch, \.\.\."),
    (
        "run no_such_net.onnx:conv1",
        r"no_such_net.onnx: (cannot read it: No such file|.*package onnx)",
    ),
    (
        "run attention:1x1x1000000x64",
        r"256 TFLOP; at [\d.]+ [GT]FLOP/s that is [\d.]+ (hours|minutes|seconds) a call",
    ),
    ("compare peers attention:1x1x1000000x64", r"x64: 256 TFLOP; .*; use a smaller problem"),
    ("run --epilogue bias,", r"--epilogue 'bias,': '': use bias, add, relu"),
    ("run resnt50", r"'resnt50': did you mean resnet50 or "),
    ("run resnet50:layer1.0.conv9", r"did you mean layer1.0.conv3"),
    ("run mb1ic0ih3oc4kh1", r"ic0 at character 4: must be at least 1"),
    ("run mb1ic64ih56zz3", r"unknown field 'zz' at character 12"),
    ("run mb1ic64ih5oc8kh9", r"r=9: .* padded input of 5 rows; use a smaller filter"),
    ("run g3mb1ic4ih5oc8kh1", r"groups=3: must divide c=4"),
    ("run -t 0", r"--threads 0: .* Use 1"),
    ("run -t 9999", r"--threads 9999: .* Use 1"),
    ("run -t many", r"--threads many: use numbers"),
    ("run -t ,", r"--threads: use numbers"),
    ("run --dtype f8", r"--dtype f8: use f32, f64, bf16, f16, int8 or SOURCE:WEIGHTS:RESULT such"),
    ("run --dtype fp16", r"--dtype fp16: did you mean f16\?$"),
    ("run --dtype u8:s8", r"--dtype u8:s8: did you mean int8\?$"),
    ("run 8x8:8x8 --dtype s8", r"--dtype s8: did you mean s8:s8:s32\?$"),
    ("run 8x8:8x8 --dtype s32", r"--dtype s32: use f32, f64, bf16, f16, int8 or SOURCE:"),
    ("run --dtype bf16,int8", r"--dtype bf16,int8: name one type; compare dtypes compares several"),
    ("run --dtype int4", r"--dtype int4: a type of weights; run --weight-dtype int4 with --dtype"),
    ("compare dtypes 8x8:8x8 --dtype f16,int4", r"--dtype int4: a type of weights; .* compare dty"),
    ("study unroll --dtype fp32", r"--dtype fp32: did you mean f32\?$"),
    ("study unroll --dtype fp16", r"--dtype fp16: use f32 or f64$"),
    ("run 8x8:8x8 --pass training --dtype bf16", r"--dtype bf16: backward passes compute f32 and"),
    ("run --pass backward-data --dtype int8", r"--dtype int8: backward passes compute f32 and f64"),
    ("compare peers --pass training --dtype f16", r"--dtype f16: backward passes compute f32 and"),
    ("run --isa mmx", r"--isa mmx: this CPU has .*; use one of them or native"),
    ("run --isa ,", r"--isa ,: use names such as native"),
    ("run --layout chwn", r"--layout chwn: use nchw, nhwc or all"),
    ("run --gemm 3x4", r"--gemm 3x4: write MxNxK"),
    ("run --gemm 0x4x4", r"--gemm 0x4x4"),
    ("run --gemm 3x4x5 --kernel 3", r"--kernel describes a convolution and --gemm a product"),
    ("run --input 1x3x8x8", r"--input also needs --filters, --kernel"),
    ("run --input 1x3x8 --filters 4 --kernel 3", r"--input 1x3x8"),
    ("run --input 1x3x8x8 --filters 0 --kernel 3", r"--filters 0"),
    ("run --input 1x3x8x8 --filters 4 --kernel 3y", r"--kernel 3y"),
    ("run --input 1x3x8x8 --filters 4 --kernel 3 --groups 2", r"--groups 2|groups=2"),
    ("run mb1ic3ih8oc8kh3 --gemm 4x4x4", r"--gemm spells a problem, and mb1ic3ih8oc8kh3 names"),
    ("run --gemm 4x4x4 --match x", r"--match filters named problems"),
    ("run --match [", r"--match '\[': not a regular expression"),
    ("run --match nothinglikeit", r"--match 'nothinglikeit': matches none"),
    ("run --mb 0", r"--mb 0: must be at least 1"),
    ("run --budget 0", r"'--budget': 0\.0 is not in the range 0\.001<=x<=3600"),
    ("run --budget nan", r"'--budget': nan is not in the range 0\.001<=x<=3600"),
    ("study unroll --budget nan", r"'--budget': nan is not in the range"),
    ("run --max-error nan", r"'--max-error': nan is not in the range 0<=x<=1"),
    ("run --budget soon", r"'--budget': 'soon' is not a valid number\."),
    ("run --rounds 1e3", r"'--rounds': '1e3' is not a valid whole number\."),
    ("run --mb two", r"'--mb': 'two' is not a valid whole number\."),
    ("fleet run x --workers 1 --limit nan", r"'--limit': nan is not in the range 1"),
    ("run -t 99999999999999", r"--threads 99999999999999: "),
    ("run --rounds 0", r"'--rounds': 0 is not in the range 1<=x<=10000"),
    ("run --seed -1", r"'--seed': -1 is not in the range 0<=x"),
    ("run --json - --csv -", r"--json and --csv cannot both write to stdout"),
    ("run --json /no/such/folder/x.json", r"--json /no/such/folder/x.json: cannot be written"),
    ("run --batch /no/such/file", r"/no/such/file: cannot be read"),
    ("run mb100000ic512ih512oc512kh3ph1", r"needs [\d.]+ TiB of memory and .* available"),
    ("run --gemm 99999999x99999999x9", r"more than 2\*\*48 elements"),
    ("run --cache warm", r"'warm' is not one of"),
    ("compare layouts 8x8:8x8", r"8x8:8x8: a gemm has no layouts to compare"),
    ("compare layouts attention:1x1x2x2", r"2x2: an attention has no layouts to compare"),
    ("explain tile attention:1x1x2x2", r"1x1x2x2 \(attention\) is no single product"),
    ("run --attention 1x12x197", r"--attention 1x12x197: write BATCHxHEADSxTOKENSxDIM"),
    (
        "run --attention 1x1x2x2 --gemm 2x2x2",
        r"--attention describes attention and --gemm a product",
    ),
    ("run attention:1x12x197", r"'1x12x197': write BATCHxHEADSxTOKENSxDIM, e.g. attention:1x12x"),
    ("compare sideways", r"No such command 'sideways'"),
    ("strategies 8x8:8x8 -t 0", r"--threads 0"),
    ("strategies mb1", r"mb1"),
    ("frobnicate", r"No such command 'frobnicate'"),
]


@pytest.mark.parametrize(("words", "message"), CASES, ids=[words for words, _ in CASES])
def test_one_clear_line(words, message, capsys):
    assert cli._status(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    assert re.search(message, err), err


def test_control_characters_of_arguments_never_reach_the_terminal(capsys):
    for words in (["run", "--gemm", "8x8x8", "\x1b[2J\n"], ["\x1b[2J"], ["run", "--tune", "\x1b["]):
        assert cli._status(words) == 2
        err = capsys.readouterr().err
        assert err.removesuffix("\n").isprintable(), err


def test_a_file_that_is_no_result_has_the_command_that_writes_one(tmp_path, capsys):
    path = tmp_path / "empty.json"
    path.write_text("")
    for words, writer in (
        (["show"], "run"),
        (["compare", "results", str(path)], "run"),
        (["fleet", "table"], "fleet run PROBLEM --workers 1"),
    ):
        assert cli._status([*words, str(path)]) == 2
        err = capsys.readouterr().err
        assert err.endswith(f". Write one with: convprof {writer} --json FILE\n")


def test_an_empty_and_a_truncated_batch_file(tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.write_text("# nothing\n")
    assert cli._status(["run", "--batch", str(empty)]) == 2
    assert "no problem in this file" in capsys.readouterr().err
    cut = tmp_path / "cut"
    cut.write_text("mb1ic3ih8oc8kh3\nmb1ic3ih")
    assert cli._status(["run", "--batch", str(cut)]) == 2
    assert f"{cut}:2:" in capsys.readouterr().err
