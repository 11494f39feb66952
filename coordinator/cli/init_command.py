"""`splitfront init`."""

import json
from pathlib import Path

import click


@click.command(short_help="Write a commented cluster file, or sweep file.")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--sweep", is_flag=True, help="A sweep file instead of a cluster file.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of such files instead.")
def command(path: Path | None, *, sweep: bool, force: bool, schema: bool) -> None:
    """Writes a commented example of a cluster file to PATH (cluster.yaml), or of a sweep file (sweep.yaml).

    \b
    Examples:
      splitfront init
      splitfront init --schema > cluster.schema.json
      splitfront init --sweep
    """
    from coordinator.config import cluster_json_schema, example_text
    from coordinator.config.sweep_file import sweep_json_schema
    from coordinator.errors import ConfigError

    if schema:
        click.echo(json.dumps(sweep_json_schema() if sweep else cluster_json_schema(), indent=2))
        return
    name = "sweep.yaml" if sweep else "cluster.yaml"
    path = path or Path(name)
    if path.exists() and not force:
        raise ConfigError(str(path), ["exists: choose another path, or overwrite it with --force"])
    path.write_text(example_text(name), encoding="utf-8")
    after = f"Say what to measure, then: splitfront sweep {path}" if sweep else None
    click.echo(f"Wrote {path}. {after or f'Fill in your machines, then: splitfront run MODEL --cluster {path}'}")
