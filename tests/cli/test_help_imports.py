"""``convprof --help`` stays fast: it imports no command, no problem and no NumPy."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = "import sys, convprof.cli; print(*sorted(sys.modules))"


def test_the_list_of_commands_imports_none_of_them():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert "convprof.cli.seconds_flags" in modules
    heavy = {"numpy", "numba", "llvmlite", "rich", "convprof.cli.options", "convprof.problems"}
    assert modules & heavy == set()


@pytest.mark.parametrize("command", ["explain", "instructions", "sysinfo"])
def test_the_help_of_a_command_is_light(command):
    program = (
        f"import sys\nfrom convprof.cli import {command}\n"
        "print(*{'numpy', 'numba', 'llvmlite', 'rich', 'psutil'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
