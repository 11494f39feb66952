"""`splitfront init`."""

import json
from pathlib import Path

import click


@click.command(short_help="Write a commented cluster file.")
@click.argument("path", type=click.Path(path_type=Path), default=Path("cluster.yaml"))
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of cluster files instead.")
def command(path: Path, *, force: bool, schema: bool) -> None:
    """Writes a commented example of a cluster file to PATH.

    \b
    Examples:
      splitfront init
      splitfront init --schema > cluster.schema.json
    """
    from coordinator.config import cluster_json_schema, example_text
    from coordinator.errors import ConfigError

    if schema:
        click.echo(json.dumps(cluster_json_schema(), indent=2))
        return
    if path.exists() and not force:
        raise ConfigError(str(path), ["exists: choose another path, or overwrite it with --force"])
    path.write_text(example_text(), encoding="utf-8")
    click.echo(f"Wrote {path}. Fill in your machines, then: splitfront run MODEL --cluster {path}")
