"""Predicted against measured: stage times, transfers, latency and throughput of many plans on unpaced nodes.

For each model, network condition and plan: predict it from the profile alone ("before") and after measure-and-correct
("after": its stages were run alone on the nodes), deploy it, measure it. Nodes are unpaced, pinned to cores and
unequal by the optimisation level of their runtime. Links are emulated by their senders.

All plans of a model under one condition are live at once. They are visited in several rounds, in random order, each
visit beside one to the plan's stages, so that a machine that is slow for some seconds slows no plan, and no prediction,
alone. How far a plan is from itself, from the first round to the last, is the floor of the noise, that no prediction
can be expected to beat. Order, regret and hypervolume have a floor of their own: how well one round of measurements
chooses for the others. `--points FILE` writes every plan's figures as CSV, `--figure FILE.svg` draws them; no plan is
left out.
"""

import sys
from pathlib import Path

from benchmarks._figures import argument_parser, publish
from benchmarks._prediction_drawing import draw_points
from benchmarks._prediction_figures import figures_of, worst_lines
from benchmarks._prediction_points import write_points
from benchmarks._prediction_runs import Scope, run_all

MODELS = ("mobilenet_v2", "resnet18", "inception_v3", "open_nsfw")


def main() -> int:
    """Measures all and publishes the figures."""
    parser = argument_parser(__doc__)
    parser.add_argument("--points", type=Path, metavar="FILE", help="also write every plan's figures there, as CSV")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="also draw predicted over measured there")
    parser.add_argument("--cluster", type=Path, metavar="FILE", help="these nodes and links, not the local ones")
    parser.add_argument("--models", nargs="+", metavar="MODEL", default=MODELS, help=f"of {', '.join(MODELS)}")
    arguments = parser.parse_args()
    scope = Scope(
        models=tuple(arguments.models[:1] if arguments.quick else arguments.models),
        cluster_file=arguments.cluster,
        n_conditions=1 if arguments.quick else 3,
    )
    points = run_all(scope, say=say)
    if arguments.points is not None:
        write_points(points, arguments.points)
    if arguments.figure is not None:
        draw_points(points, arguments.figure)
    for line in worst_lines(points):
        say(line)
    return publish(figures_of(points), arguments.json)


def say(line: str) -> None:
    """To where it does not mix with the figures."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
