"""Load on a pipeline that is made up: what is sent, waited for and recorded."""

import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest

from coordinator.deployment import Deployment
from coordinator.errors import OutputMismatchError
from coordinator.loadgen import MIN_REQUESTS, LoadResult, Record, Workload, run_load
from coordinator.output_gate import OutputErrors
from coordinator.pipeline import Answer
from coordinator.tuning import WindowTuning, tune_deployment
from coordinator.window import WindowWish
from node_agent.errors import StageFailedError
from partitioner.plan import Candidate, CostEstimate, Plan, Stage

X = {"x": np.ones(2, dtype=np.float32)}
WORKLOAD = Workload(inputs=(X,), expected=(X,))


class LateFuture(Future):
    """One whose callbacks come well after those who wait for it know that it is done."""

    def add_done_callback(self, callback):
        def late(done):
            time.sleep(0.02)
            callback(done)

        super().add_done_callback(late)


class MadeUpPipeline:
    """Answers each request from a thread of its own, in order, as `respond` says; None: not at all."""

    def __init__(self, respond):
        self._respond = respond
        self.patience = []
        self.windows = []

    def resize(self, window):
        self.windows.append(window)

    def submit(self, inputs, *, timeout_seconds):
        self.patience.append(timeout_seconds)
        future, number, sent_at = LateFuture(), len(self.patience) - 1, time.perf_counter()
        outputs = self._respond(number)
        if isinstance(outputs, Exception):
            threading.Timer(0.001, future.set_exception, [outputs]).start()
        elif outputs is not None:
            answer = Answer(request=number, outputs=outputs, sent_at=sent_at, received_at=sent_at + 0.001, trace=())
            threading.Timer(0.001, future.set_result, [answer]).start()
        return future


def load(pipeline, *, is_single_stream, n_requests=3, **options):
    return run_load(
        pipeline,
        WORKLOAD,
        is_single_stream=is_single_stream,
        n_requests=n_requests,
        budget_seconds=60,
        on_done=lambda _n_done: None,
        **options,
    )


@pytest.mark.parametrize("is_single_stream", [True, False])
def test_the_last_answer_is_recorded_as_well(is_single_stream):
    pipeline = MadeUpPipeline(lambda _: X)
    result = load(pipeline, is_single_stream=is_single_stream, answer_seconds=30)
    assert sorted(record.request for record in result.records) == [0, 1, 2]
    assert pipeline.patience == [30, 30, 30]


def test_answers_that_do_not_come_are_not_waited_for_longer_than_said():
    began = time.perf_counter()
    result = load(MadeUpPipeline(lambda number: X if number == 0 else None), is_single_stream=False, answer_seconds=0.2)
    assert [record.request for record in result.records] == [0]
    assert 0.2 <= time.perf_counter() - began < 10


def test_failed_requests_are_counted_and_wrong_answers_end_it():
    result = load(MadeUpPipeline(lambda number: X if number else StageFailedError("stage 0")), is_single_stream=True)
    assert (result.n_errors, len(result.records)) == (1, 2)
    with pytest.raises(OutputMismatchError):
        load(MadeUpPipeline(lambda _: {"x": X["x"] * 2}), is_single_stream=True)


def deployed(pipeline=None, *, latency_seconds, bottleneck_seconds, window=3):
    cost = CostEstimate(
        latency_seconds=latency_seconds,
        bottleneck_seconds=bottleneck_seconds,
        bottleneck_resource="link:a->b",
        throughput_per_second=1.0,
        stages=(),
        hops=(),
    )
    plan = Plan(model_sha256="", batch=8, stages=(Stage(device="a", start=0, stop=1),), window=window)
    return Deployment(
        name="d",
        epoch=1,
        candidate=Candidate(plan=plan, cost=cost),
        sent_bytes=0,
        sending_seconds=0.0,
        session_seconds=0.0,
        pipeline=pipeline,
    )


def test_an_answer_of_a_slow_plan_is_waited_for_beyond_what_it_is_predicted_to_take():
    assert deployed(latency_seconds=0.01, bottleneck_seconds=0.005).answer_seconds == pytest.approx(60, abs=1)
    assert deployed(latency_seconds=200.0, bottleneck_seconds=164.0).answer_seconds > 2 * (200 + 3 * 164)


def test_a_window_is_judged_by_answers_that_came_while_it_was_full_however_slow_the_plan():
    pipeline = MadeUpPipeline(lambda _: X)
    tuned, steps = tune_deployment(
        deployed(pipeline, latency_seconds=0.8, bottleneck_seconds=0.3),
        WORKLOAD,
        WindowTuning(wish=WindowWish(), predict=lambda _plan: None, seconds=0.0),
        latency_seconds=0.8,
    )
    assert [step.window for step in steps] == [tuned.candidate.plan.window] == [4]
    assert pipeline.windows == [4, 4]
    assert len(pipeline.patience) == MIN_REQUESTS + 2 * 4


def answered(n_records):
    records = tuple(Record(request=n, sent_at=n, received_at=n + 1, trace=()) for n in range(n_records))
    return LoadResult(records=records, n_errors=0, errors=OutputErrors())


@pytest.mark.parametrize(
    ("n_records", "window", "n_ways", "kept"),
    [
        (10, 3, 1, range(3, 7)),
        (10, 1, 1, range(1, 9)),
        (7, 3, 1, range(2, 5)),
        (3, 5, 1, range(3)),
        (2, 5, 1, range(2)),
        (0, 5, 1, range(0)),
        (10, 3, 3, range(3, 7)),
        (10, 5, 3, range(3, 7)),
        (3, 5, 4, range(3)),
    ],
)
def test_throughput_counts_what_came_while_the_window_was_full(n_records, window, n_ways, kept):
    """While it fills and empties, stages that share a core are faster than under load; a round of the ways is kept."""
    assert [record.request for record in answered(n_records).steady(window, n_ways)] == list(kept)


def test_throughput_counts_samples():
    plan = Plan(model_sha256="", batch=8, stages=(Stage(device="a", start=0, stop=1),), window=2)
    assert answered(20).throughput_per_second(plan).value == pytest.approx(8)
