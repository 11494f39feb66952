"""`splitfront results`."""

from pathlib import Path

import click

from coordinator.cli.options import json_option

store_argument = click.argument("store")


@click.group(short_help="List, show, export and import what sweeps measured.")
def command() -> None:
    """Reads and writes stores of results.

    STORE is an SQLite file, the folder of a sweep (its results.sqlite), or the URL of a database, as in
    postgresql://user:password@host/database. A password may stand in ~/.pgpass instead.

    \b
    Examples:
      splitfront results list sweeps/paper
      splitfront results show sweeps/paper
      splitfront results export sweeps/paper --csv tables
      splitfront results import all.sqlite tables
    """


@command.command("list", short_help="Sweeps of a store, and how far they have come.")
@store_argument
@json_option
def list_sweeps(store: str, *, as_json: bool) -> None:
    """Lists the sweeps of STORE, the oldest first.

    \b
    Examples:
      splitfront results list sweeps/paper
      splitfront results list postgresql://me@host/results --json
    """
    import dataclasses
    import json

    from coordinator.cli.terminal import Terminal
    from coordinator.report.results_table import sweeps_table
    from coordinator.results.store import open_store
    from coordinator.results.summary import summarise

    terminal = Terminal(as_json=as_json)
    with open_store(store, is_made=False) as opened:
        found = [summarise(opened.sweep(name), opened.runs(name)) for name in opened.sweeps()]
        if as_json:
            click.echo(json.dumps([dataclasses.asdict(one) | {"cases": len(one.cases)} for one in found], indent=1))
        elif found:
            terminal.show(sweeps_table(opened.name, found))
        else:
            terminal.say(f"{opened.name} holds no sweep yet.")


@command.command(short_help="Cases of a sweep with the medians of their runs.")
@store_argument
@click.argument("sweep", required=False)
@json_option
def show(store: str, sweep: str | None, *, as_json: bool) -> None:
    """Shows every case of SWEEP, which may be left out where STORE holds only one.

    With --json every run with its figures, links and environment as well; samples are for `results export`.

    \b
    Examples:
      splitfront results show sweeps/paper
      splitfront results show all.sqlite paper --json
    """
    from coordinator.cli.terminal import Terminal
    from coordinator.report.results_table import cases_table
    from coordinator.results.json_file import summary_json
    from coordinator.results.store import open_store
    from coordinator.results.summary import summarise

    terminal = Terminal(as_json=as_json)
    with open_store(store, is_made=False) as opened:
        names = opened.sweeps()
        if sweep is None and len(names) != 1:
            held = f"it holds {', '.join(names)}" if names else "it holds none yet"
            raise click.UsageError(f"Which SWEEP of {opened.name}? {held[0].upper()}{held[1:]}.")
        found = opened.sweep(sweep or names[0])
        runs = opened.runs(found.name)
    if as_json:
        click.echo(summary_json(summarise(found, runs), runs))
    else:
        terminal.show(cases_table(summarise(found, runs)))


@command.command(short_help="Write sweeps as CSV, Parquet or JSON.")
@store_argument
@click.argument("sweeps", nargs=-1)
@click.option("--csv", "csv", type=click.Path(path_type=Path, file_okay=False), help="Folder for four .csv files.")
@click.option(
    "--parquet", "parquet", type=click.Path(path_type=Path, file_okay=False), help="Folder for four .parquet files."
)
@click.option("--json", "json", type=click.Path(path_type=Path, dir_okay=False), help="File for all of it, nested.")
def export(store: str, *, sweeps: tuple[str, ...], csv: Path | None, parquet: Path | None, json: Path | None) -> None:
    """Writes SWEEPS of STORE, all where none is named, with every sample. Numbers are kept to the last bit.

    The tables: sweeps, cases, runs, samples. Times are seconds. A run belongs to a case by (sweep, case_key), a sample
    to a run by (sweep, case_key, repeat, attempt).

    \b
    Examples:
      splitfront results export sweeps/paper --csv tables
      splitfront results export all.sqlite paper other --parquet parquet --json results.json
    """
    from coordinator.cli.terminal import Terminal
    from coordinator.results.exchange import measured, write
    from coordinator.results.formats import WRITERS, Format
    from coordinator.results.store import open_store

    wanted: dict[Format, Path | None] = {"csv": csv, "parquet": parquet, "json": json}
    if not any(wanted.values()):
        raise click.UsageError("Export to what? Give --csv DIR, --parquet DIR, --json FILE, or several of them.")
    terminal = Terminal()
    with open_store(store, is_made=False) as opened, terminal.progress("Exporting") as on_lane:
        n_total = sum(len(opened.runs(name)) for name in sweeps or opened.sweeps())

        def write_as(kind: Format, path: Path) -> None:
            with WRITERS[kind](path) as writer:
                write(measured(opened, sweeps), writer, lambda n_done, _: on_lane(kind, n_done, n_total))
            terminal.say(f"Wrote {path}")

        for kind, path in wanted.items():
            if path is not None:
                write_as(kind, path)


@command.command("import", short_help="Take exported sweeps into a store.")
@store_argument
@click.argument("source", type=click.Path(path_type=Path))
@json_option
def import_sweeps(store: str, *, source: Path, as_json: bool) -> None:
    """Takes what `results export` wrote to SOURCE (a folder of CSV or Parquet, or a JSON file) into STORE.

    STORE is made where it is not there. What it has already stays; nothing is overwritten. Digests are checked.

    \b
    Examples:
      splitfront results import all.sqlite tables
      splitfront results import postgresql://me@host/results results.json --json
    """
    import dataclasses
    import json

    from coordinator.cli.terminal import Terminal
    from coordinator.results.exchange import keep
    from coordinator.results.formats import read_exported
    from coordinator.results.store import open_store

    terminal = Terminal(as_json=as_json)
    sweeps = read_exported(source)
    with open_store(store) as opened, terminal.progress("Importing") as on_lane:
        brought = keep(sweeps, opened, lambda n_done, name: on_lane(name, n_done, n_done))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(brought)))
    else:
        names = ", ".join(brought.sweeps) or "nothing"
        terminal.say(f"Took {names} in: {brought.n_new_runs:,} new runs, {brought.n_known_runs:,} were there already.")
