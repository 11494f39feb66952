"""Options that several commands share."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def together(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several decorators as one, the first outermost."""
    return lambda function: reduce(lambda inner, decorate: decorate(inner), reversed(decorators), function)


class DimensionType(click.ParamType[tuple[str, int]]):
    """NAME=SIZE."""

    name = "NAME=SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Splits a binding of a free dimension."""
        if isinstance(value, tuple):
            return value
        name, _, size = str(value).partition("=")
        if not name or not size.isdecimal() or int(size) < 1:
            self.fail(f"'{value}' is not NAME=SIZE, as in height=640.", param, ctx)
        return name, int(size)


model_argument = click.argument("model")
optional_model_argument = click.argument("model", required=False)

model_options = together(
    click.option(
        "--batch", type=click.IntRange(min=1), help="Samples per request.  [default: what --inputs has, or 1]"
    ),
    click.option("--dim", "dims", type=DimensionType(), multiple=True, help="Binds a free dimension of the model."),
    click.option(
        "--inputs",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Arrays by input name (.npz): sizes come from them, and every run takes them.  [default: random]",
    ),
    click.option(
        "--weights",
        type=click.Path(path_type=Path),
        help="State dict for a zoo model or PyTorch module; seeded weights otherwise.",
    ),
)

seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all chance.")

cluster_options = together(
    click.option("--cluster", "cluster_file", type=click.Path(path_type=Path), help="Cluster file (see init)."),
    click.option(
        "--local", "n_local", type=click.IntRange(min=1, max=32), help="Instead: so many nodes on this machine."
    ),
)

run_option = click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Run folder, as made by `splitfront profile`.",
)

out_option = click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run folder to write.  [default: runs/MODEL]",
)

profile_options = together(
    click.option(
        "--profile-seconds",
        type=click.FloatRange(min=1),
        default=20.0,
        show_default=True,
        help="Budget for profiling each node.",
    ),
)

fresh_option = click.option(
    "--fresh", "is_fresh", is_flag=True, help="Times all segments, known ones too, and replaces what is known."
)

show_option = click.option(
    "--show",
    "shown",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="RUN",
    help="Instead of MODEL: shows and draws the profile of this run folder; needs no node.",
)

choose_option = click.option(
    "--choose",
    "wish",
    default="knee",
    show_default=True,
    help="knee, latency, throughput, memory, energy, wire, error, an index, or bounds such as 'latency<=50ms'.",
)

correct_option = click.option(
    "--correct-seconds",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Budget for running the front's own stages on the nodes and searching again; 0 trusts the profile.",
)

bench_options = together(
    click.option(
        "--bench-seconds",
        type=click.FloatRange(min=0.5),
        default=6.0,
        show_default=True,
        help="For each of single stream and offline; other plans and baselines get half.",
    ),
    click.option(
        "--window",
        "window_text",
        metavar="N|auto",
        help="Requests in flight under load: a number, auto, or auto<=200ms, which tries wider ones as long as they "
        "bring 2 % and the median request takes no longer.  [default: the plan's]",
    ),
)

profile_source_option = click.option(
    "--profile",
    "profile_source",
    type=click.Choice(("profiler", "live")),
    default="profiler",
    show_default=True,
    help="Stage times to predict from: those timed alone, or as the last `splitfront bench` saw them in pipelines.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")

dry_run_option = click.option("--dry-run", is_flag=True, help="Says what would be done, and does nothing.")
