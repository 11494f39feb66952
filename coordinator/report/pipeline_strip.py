"""The chosen plan as a row of boxes: client, stages with the hops between them, client again."""

import html
from collections.abc import Iterator

from coordinator.report import quantities
from coordinator.report.names import shorten, span_names
from coordinator.report.run import Run


def pipeline_strip(run: Run) -> str:
    """An ordered list for the page, with what its figures are."""
    compute = "All times are" if run.measurement is None else "Times of stages are measured, those of hops"
    return (
        f'<figure><ol class="pipeline">{"".join(_items(run))}</ol>'
        f"<figcaption>The chosen plan, one request at a time. {compute} predicted.</figcaption></figure>"
    )


def _items(run: Run) -> Iterator[str]:
    cost = run.chosen.cost
    yield '<li class="end">client</li>'
    for index, stage in enumerate(run.chosen.plan.stages):
        yield _hop(cost.hops[index].n_bytes, cost.hops[index].seconds)
        n_units = stage.stop - stage.start
        seconds = cost.stages[index].seconds
        if run.measurement is not None and index < len(run.measurement.stages):
            seconds = run.measurement.stages[index].compute_seconds
        yield (
            f'<li class="stage"><b>{html.escape(shorten(stage.device, 28))}</b>'
            f"<span>{n_units} {'unit' if n_units == 1 else 'units'}, {quantities.seconds(seconds)}</span>"
            f"<small>{html.escape(span_names(run.graph, stage))}</small></li>"
        )
    yield _hop(cost.hops[-1].n_bytes, cost.hops[-1].seconds)
    yield '<li class="end">client</li>'


def _hop(n_bytes: int, seconds: float) -> str:
    return (
        f'<li class="hop"><span>{quantities.n_bytes(n_bytes)}</span><small>{quantities.seconds(seconds)}</small></li>'
    )
