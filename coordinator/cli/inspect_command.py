"""`splitfront inspect`."""

from pathlib import Path

import click

from coordinator.cli.options import json_option, model_argument, model_options, seed_option


@click.command(short_help="Show a model's units and split points.")
@model_argument
@model_options
@seed_option
@click.option("--layers", "has_layers", is_flag=True, help="Shows the layers of each unit, too.")
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draws crossing bytes and work along the order: .png, .svg, or .html to explore.",
)
@json_option
def command(
    model: str,
    *,
    batch: int | None,
    dims: tuple[tuple[str, int], ...],
    inputs: Path | None,
    weights: Path | None,
    seed: int,
    has_layers: bool,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Shows the units of MODEL (what the runtime fuses) and what crosses each split point.

    MODEL is a .onnx or .pt2 file, package.module:factory, or a zoo name: mobilenet_v2, resnet18, resnet50, alexnet,
    vgg16, inception_v3.

    \b
    Examples:
      splitfront inspect mobilenet_v2
      splitfront inspect mobilenet_v2 --layers
      splitfront inspect mobilenet_v2 --figure mobilenet.png
      splitfront inspect model.onnx --dim height=640 --dim width=640 --json
      splitfront inspect model.onnx --inputs sample.npz
    """
    from coordinator.cli.request import Request
    from coordinator.cli.terminal import Terminal
    from coordinator.opening import open_model
    from coordinator.report.inspection import SCHEMA, inspect_table, inspection
    from coordinator.report.write import ORDER_SUFFIXES, write_order
    from partitioner.serialize import artefact_json

    if figure is not None and figure.suffix not in ORDER_SUFFIXES:
        raise click.BadParameter(f"'{figure}' ends in none of {', '.join(ORDER_SUFFIXES)}.", param_hint="--figure")
    terminal = Terminal(as_json=as_json)
    request = Request(model=model, batch=batch, dims=dict(dims), inputs=inputs, weights=weights, seed=seed)
    graph = open_model(request.settings(cluster=""), terminal).graph
    if as_json:
        click.echo(artefact_json(inspection(graph), seed=seed, schema=SCHEMA))
    else:
        terminal.show(inspect_table(graph, has_layers=has_layers))
    if figure is not None:
        try:
            terminal.say(f"Drew {write_order(graph, figure)}")
        except OSError as error:
            raise click.FileError(str(figure), hint=str(error)) from error
