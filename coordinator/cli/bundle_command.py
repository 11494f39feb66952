"""`splitfront bundle`."""

from pathlib import Path

import click

from coordinator.cli.options import json_option


@click.command(short_help="Pack a run or a sweep into one file.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", "path", type=click.Path(path_type=Path, dir_okay=False), help="[default: FOLDER.zip]")
@click.option("--store", help="Where the results of the sweep are, if not in FOLDER: a file or a URL.")
@click.option(
    "--sweep", "sweeps", multiple=True, help="Of those in the store; several times for several.  [default: all]"
)
@json_option
def command(*, folder: Path, path: Path | None, store: str | None, sweeps: tuple[str, ...], as_json: bool) -> None:
    """Packs profiles, plans, samples, seeds, versions and commands of FOLDER, a run's or a sweep's, into a zip file.

    From it `splitfront replay` draws every figure again. Equal folders give equal files. Not packed: models, shards,
    pictures, hidden files.

    \b
    Examples:
      splitfront bundle runs/r18
      splitfront bundle sweeps/paper --out paper.zip
      splitfront bundle sweeps/paper --store postgresql://me@host/results --sweep paper
    """
    import json

    from coordinator.bundle.archive import file_digest
    from coordinator.bundle.packing import bundle_folder
    from coordinator.cli.terminal import Terminal

    terminal = Terminal(as_json=as_json)
    target = path or folder.absolute().with_name(f"{folder.absolute().name}.zip")
    with terminal.progress(f"Packing {folder}"):
        manifest = bundle_folder(folder, target, store=store, sweeps=sweeps)
        digest = file_digest(target)
    n_bytes = target.stat().st_size
    if as_json:
        facts = {"file": str(target), "sha256": digest, "n_bytes": n_bytes, "kind": manifest.kind}
        click.echo(json.dumps(facts | {"files": sorted(manifest.files)}, indent=1))
    else:
        terminal.say(f"Packed a {manifest.kind} into {target}: {len(manifest.files)} files, {n_bytes:,} bytes")
        terminal.say(f"sha256 {digest}")
        terminal.say(f"Next: splitfront replay {target} --out DIR")
