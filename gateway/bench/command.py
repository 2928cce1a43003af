"""`consentry bench`: the benchmark as a command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from gateway.bench.options import MAX_ROUNDS, Options
from gateway.bench.report import Report
from gateway.bench.run import NAMES, run, steps


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Every row in seconds, with figures that mean little.")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="A section alone; may be given again.")
@click.option(
    "--rounds",
    type=click.IntRange(1, MAX_ROUNDS),
    default=5,
    show_default=True,
    help="Turns of each measurement.",
)
@click.option(
    "--entries",
    type=click.IntRange(1),
    default=100_000,
    show_default=True,
    help="Size of the ledger to verify.",
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder on the disk to measure.  [default: the system's temporary folder]",
)
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the report to this file.")
def bench(
    quick: bool,
    only: tuple[str, ...],
    rounds: int,
    entries: int,
    folder: Path | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Measure what the gateway adds to a read on this machine, and what its parts cost.

    It needs no configuration and leaves nothing behind. Let nothing else run meanwhile; docs/performance.md
    says how to read the figures.
    """
    options = Options(rounds, quick, only, entries, folder)
    report = _with_progress(options)
    text = json.dumps(report.json(), indent=2) if as_json else report.markdown()
    if out is None:
        click.echo(text)
    else:
        out.write_text(text + "\n")


def _with_progress(options: Options) -> Report:
    if not sys.stderr.isatty():
        return run(options)
    with click.progressbar(length=steps(options), file=sys.stderr) as bar:

        def tick(what: str) -> None:
            bar.label = f"{what:34}"
            bar.update(1)

        return run(options, tick)
