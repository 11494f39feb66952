"""What is said of the predictions, in sentences: errors, order, what emulation proves, and warnings."""

from coordinator.measurement import BeforeAfter, DeviceFactor, GroupAccuracy, Measurement
from coordinator.report import quantities
from coordinator.report.names import printable
from coordinator.report.prediction_points import quality_of
from partitioner.accuracy import ErrorSummary, RankAgreement


def accuracy_sentences(measurement: Measurement) -> tuple[str, ...]:
    """Median and worst error of latency and throughput and the order, for plans without and with emulated devices."""
    quality = quality_of(measurement)
    sentences = [] if quality.unpaced is None else [_group(quality.unpaced, "")]
    if quality.paced is not None:
        sentences += [_group(quality.paced, " with emulated devices"), paced_sentence(measurement)]
    return tuple(sentences)


def paced_sentence(measurement: Measurement) -> str:
    """What stages on emulated devices prove; empty where there are none."""
    names = sorted({stage.device for plan in measurement.plans for stage in plan.stages if stage.is_paced})
    if not names:
        return ""
    return (
        f"Stages on {', '.join(map(printable, names))} are emulated: they end no earlier than the profile says, so "
        "that agreement there proves nothing of the prediction; they correct nothing."
    )


def warning_sentences(measurement: Measurement) -> tuple[str, ...]:
    """What speaks against trusting the figures, fit to be shown."""
    return tuple(map(printable, quality_of(measurement).warnings))


def stage_sentence(measurement: Measurement) -> str:
    """Median and worst error of stage times; empty where all are emulated."""
    quality = quality_of(measurement)
    parts = [
        f"Stage times{of}: {_errors(group.stage_seconds)}."
        for group, of in ((quality.unpaced, ""), (quality.paced, " in plans with emulated devices, those left out"))
        if group is not None and group.stage_seconds is not None
    ]
    return " ".join(parts)


def factor_sentence(measurement: Measurement) -> str:
    """How long stages take live over what the profile says, by device; empty where that was not seen."""
    found = [_factor(device) for device in quality_of(measurement).devices]
    return f"Live over profiled time: {'; '.join(found)}." if found else ""


def _factor(device: DeviceFactor) -> str:
    ends = f"{quantities.number(device.low)} – {quantities.number(device.high)}"
    stages = "1 stage" if device.n_stages == 1 else f"{device.n_stages} stages"
    value = "not one factor" if device.factor is None else quantities.ratio(device.factor)
    return f"{printable(device.device)} {value} ({ends}, {stages})"


def _group(group: GroupAccuracy, kind: str) -> str:
    n = group.latency.before.n
    plans = f"{n} {'plan' if n == 1 else 'plans'}{kind}"
    errors = f"{plans}: latency {_errors(group.latency)}; throughput {_errors(group.throughput)}."
    return f"{errors} {_order(group.latency_order, group.throughput_order)}".strip()


def _errors(errors: BeforeAfter) -> str:
    """`median error 2.1 % (worst −8.3 %, in 'front 2'), corrected by the other plans 1.0 % (worst …; 3 of 6)`."""
    text = f"median error {_summary(errors.before)}"
    if errors.after is None:
        return text
    n, n_all = errors.after.n, errors.before.n
    return f"{text}, corrected by the other plans {_summary(errors.after, '' if n == n_all else f'; {n} of {n_all}')}"


def _summary(errors: ErrorSummary, note: str = "") -> str:
    worst = quantities.percent(errors.worst, is_signed=True)
    return f"{quantities.percent(errors.median)} (worst {worst}, in '{printable(errors.worst_name)}'{note})"


def _order(latency: RankAgreement, throughput: RankAgreement) -> str:
    if latency.tau is None or throughput.tau is None:
        return ""
    return (
        f"Predicted and measured order: Kendall τ {_tau(latency.tau)} in latency, {_tau(throughput.tau)} in throughput"
        f"{_resolved(latency, throughput)}."
    )


def _resolved(latency: RankAgreement, throughput: RankAgreement) -> str:
    """Of the pairs that the intervals tell apart, where that says more."""
    if latency.resolved_tau is None or throughput.resolved_tau is None:
        return ""
    return (
        f"; of the pairs whose intervals do not overlap {_tau(latency.resolved_tau)} (n = {latency.n_resolved}) and "
        f"{_tau(throughput.resolved_tau)} (n = {throughput.n_resolved})"
    )


def _tau(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
