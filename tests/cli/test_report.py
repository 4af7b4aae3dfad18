"""``--report`` of all commands that have tables of results."""

from __future__ import annotations

import importlib.util
import json

import click
import pytest

from convprof import cli
from convprof.render.report import file

CONV = "mb1ic8ih9oc16oh9kh3ph1"
QUICK = ["-s", "tiled,reordered", "-t", "1", "--budget", "0.002", "--rounds", "6", "-q"]
HAS_PACKAGES = all(importlib.util.find_spec(name) for name in file.PACKAGES)
needs_packages = pytest.mark.skipif(
    not HAS_PACKAGES, reason="jinja2 or matplotlib not installed: pip install 'convprof[report]'"
)


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "a.json"
    assert cli._status(["run", CONV, *QUICK, "--json", str(path)]) == 0
    return path


def _commands(group, context, before=()):
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, context, (*before, name))
        yield (*before, name), command


def test_every_command_that_writes_its_result_has_a_report():
    for name, command in _commands(cli.cli, click.Context(cli.cli)):
        flags = {flag for each in command.params for flag in each.opts}
        assert ("--json" in flags) == ("--report" in flags), name


@needs_packages
def test_run_writes_what_it_prints_and_a_chart(capsys, tmp_path):
    path = tmp_path / "x.html"
    status, out, err = run(capsys, "run", CONV, *QUICK, "--report", path)
    assert (status, err) == (0, "")
    page = path.read_text(encoding="utf-8")
    assert page.count("<svg") == page.count("<h1") == 1
    assert 'id="measurements"' in page
    first = out.strip().splitlines()[-2]
    assert "GFLOP/s" in page
    assert first.split(";")[0].split(":")[0] in page


@needs_packages
def test_a_document_on_stdout_and_a_report(capsys, tmp_path):
    path = tmp_path / "x.html"
    status, out, _ = run(capsys, "run", CONV, *QUICK, "--report", path, "--json", "-")
    assert status == 0
    assert json.loads(out)["kind"] == "result"
    page = path.read_text(encoding="utf-8")
    assert 'id="table-0-0"' in page


@needs_packages
@pytest.mark.parametrize("words", [["show"], ["compare", "results", "--all"]], ids=" ".join)
def test_a_report_of_saved_results(capsys, tmp_path, results, words):
    path = tmp_path / "x.html"
    files = [results] * (1 if words == ["show"] else 2)
    status, _, err = run(capsys, *words, *files, "--report", path)
    assert status == 0, err
    assert path.read_text(encoding="utf-8").count("<table") > 0


@needs_packages
def test_several_documents_have_a_chart_each_and_no_machine(capsys, tmp_path, results):
    path = tmp_path / "x.html"
    status, _, err = run(capsys, "show", results, results, "--report", path)
    assert (status, err) == (0, "")
    page = path.read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert 'id="machine"' not in page


@needs_packages
def test_a_name_that_is_markup_stays_text(capsys, tmp_path, results):
    document = json.loads(results.read_text(encoding="utf-8"))
    for measurement in document["measurements"]:
        measurement["problem"]["name"] = "<script>alert(1)</script>"
    source, path = tmp_path / "evil.json", tmp_path / "x.html"
    source.write_text(json.dumps(document), encoding="utf-8")
    assert run(capsys, "show", source, "--report", path)[0] == 0
    page = path.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


@needs_packages
def test_a_report_that_fails_is_one_line_and_the_tables_are_printed(
    capsys, tmp_path, results, monkeypatch
):
    monkeypatch.setattr(file, "html", lambda _: 1 / 0)
    path = tmp_path / "x.html"
    status, out, err = run(capsys, "show", results, "--report", path)
    assert status == 1
    assert "tiled" in out
    assert err.startswith(f"convprof: --report {path}: ZeroDivisionError")
    assert not path.exists()


@needs_packages
def test_a_file_belongs_to_one_flag(capsys, tmp_path, results):
    path = tmp_path / "x.html"
    status, out, err = run(capsys, "show", results, "--report", path, "--markdown", path)
    assert (status, out) == (2, "")
    assert "--markdown writes there" in err


def test_without_packages_it_is_one_line_before_anything_is_measured(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(file, "PACKAGES", ("no_such_package",))
    status, out, err = run(capsys, "run", CONV, *QUICK, "--report", tmp_path / "x.html")
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "pip install 'convprof[report]'" in err
