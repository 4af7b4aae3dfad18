"""The help of a command: options under headings, then examples, in the terminal's width."""

from __future__ import annotations

import click

WIDEST = 160
"""The most columns of a help page; longer lines are hard to read."""
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": WIDEST}

GROUPS = {
    "Problem": (
        "batch", "mb", "match", "input_", "filters", "kernel", "stride", "pad", "dilation",
        "groups", "gemm", "attention", "weight_dtype", "group", "pass_", "epilogue",
        "image", "images", "patch", "dim", "output", "heads", "size", "range_", "over",
        "real_weights",
    ),
    "Contestants": (
        "pythons", "programs", "strategy", "with_", "layout", "threads", "cores", "dtype", "isa",
        "tune", "max_error", "fuse",
    ),
    "Measuring": (
        "cache", "budget", "rounds", "seed", "patience", "wait_idle", "isolate", "again", "retune",
        "plan", "dry_run", "measure",
    ),
    "Hosts": (
        "workers", "scheduler", "hosts", "each", "limit", "away", "any_version", "tls_ca",
        "tls_cert", "tls_key",
    ),
    "Output": (
        "by", "price", "fail_on", "every", "phases", "asm", "explain", "why", "top", "summary",
        "list_",
        "json_path", "csv_path", "markdown_path", "report_path", "trace_path",
        "plot", "color", "quiet",
    ),
}  # fmt: skip
"""Heading -> names of parameters; other options are under the last heading."""
OTHERS = "Other options"


class _Page(click.Command):
    """A command whose help ends with examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each a line that can be copied."""
        from convprof.cli.examples import EXAMPLES

        super().format_epilog(ctx, formatter)
        lines = EXAMPLES.get(" ".join(ctx.command_path.split()[1:]), {})
        if lines:
            with formatter.section("Examples"):
                for line, meaning in lines.items():
                    formatter.write(f"{'':{formatter.current_indent}}{meaning}:\n")
                    formatter.write(f"{'':{formatter.current_indent + 2}}convprof {line}\n")


class Command(_Page):
    """A command whose help has its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under headings; a command with one group has one list."""
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in (*GROUPS, OTHERS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and parameter.param_type_name == "option":
                sections[_heading(parameter.name or "")].append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class Group(_Page, click.Group):
    """A group whose commands have such help, and which names what comes near to a wrong word."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names; UsageError for a word that names none."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            from convprof.cli import suggestions

            ctx.fail(suggestions.unknown_command(args[0], self.commands))
        return super().resolve_command(ctx, args)


def _heading(parameter: str) -> str:
    return next((name for name, members in GROUPS.items() if parameter in members), OTHERS)
