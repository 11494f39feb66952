"""The raw samples of a case as the page carries them: read by its script when a reader asks for them."""

from coordinator.report.names import printable
from coordinator.report.sweep.hover import runs_words
from coordinator.report.sweep.series import PlanPoint, RunPoint, SettingSeries
from coordinator.results.values import LinkFound, Sample
from partitioner.decisions.outliers import flag_outliers

MOST_SAMPLES = 400_000
"""In a page; of a larger sweep every so many-th is kept, and the page says so."""
_UNIT = 1e6
"""Times are whole microseconds: half the length of seconds with decimals."""


def stride_for(n_samples: int) -> int:
    """Every so many-th sample goes into the page."""
    return max(1, -(-n_samples // MOST_SAMPLES))


def case_samples(setting: SettingSeries, point: PlanPoint, stride: int) -> dict[str, object]:
    """All that the page shows of one case."""
    return {
        "title": f"{point.plan} · {printable(point.condition)}",
        "setting": setting.name,
        "stages": point.stages,
        "summary": ". ".join(filter(None, [runs_words(point), _outliers(point)])),
        "stride": stride,
        "runs": [_run(run, stride) for run in point.runs],
    }


def _outliers(point: PlanPoint) -> str:
    """How many samples are far from the others of their run, one request in flight."""
    lone = [
        [sample.latency_seconds for sample in run.samples if sample.scenario == "single_stream"]
        for run in point.runs
        if run.state == "done"
    ]
    n_far = sum(int(flag_outliers(latencies).sum()) for latencies in lone)
    return (
        f"{n_far} of {sum(map(len, lone))} lone requests are far from the others; they count all the same"
        if n_far
        else ""
    )


def _run(run: RunPoint, stride: int) -> dict[str, object]:
    return {
        "repeat": run.repeat + 1,
        "attempt": run.attempt + 1,
        "state": run.state,
        "reason": run.reason,
        "began": printable(run.began_at),
        "place": run.position + 1,
        "figures": {printable(name): value for name, value in run.figures.items()},
        "links": [_link(link) for link in run.links],
        "environment": {printable(str(name)): printable(str(value)) for name, value in run.environment.items()},
        "lone": _columns([sample for sample in run.samples if sample.scenario == "single_stream"], stride),
        "loaded": _columns([sample for sample in run.samples if sample.scenario == "offline"], stride),
    }


def _link(link: LinkFound) -> dict[str, object]:
    return {
        "way": printable(f"{link.source} → {link.target}"),
        "time": [link.round_trip_seconds, link.asked_round_trip_seconds],
        "rate": [link.bytes_per_second, link.asked_bytes_per_second],
    }


def _columns(samples: list[Sample], stride: int) -> dict[str, list[int]]:
    """When each was received, and how long it took; the longest and the shortest are always among those kept."""
    kept = set(range(0, len(samples), stride))
    if samples:
        places = range(len(samples))
        kept |= {min(places, key=lambda place: samples[place].latency_seconds)}
        kept |= {max(places, key=lambda place: samples[place].latency_seconds)}
    shown = [samples[place] for place in sorted(kept)]
    return {
        "at": [round(sample.received_seconds * _UNIT) for sample in shown],
        "took": [round(sample.latency_seconds * _UNIT) for sample in shown],
    }
