"""What a trial makes of stages under load; each core is simulated, and so is its clock."""

from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from described_nodes import Node, node

from coordinator.guest import Guest, TrialSamples
from coordinator.live_trial import LiveTrial
from coordinator.pipeline import Answer
from node_agent.messages import StageTrace


@dataclass
class Core:
    """Computes one request after another; to go on with another stage takes longer."""

    switch_seconds: float = 0.0
    now: float = 0.0
    last: object = None

    def compute(self, stage, seconds):
        self.now += seconds + self.switch_seconds * (self.last not in {None, stage})
        self.last = stage
        return self.now


@dataclass
class Stage:
    """As much of a `Pipeline` as counts here."""

    core: Core
    seconds: float
    queue_seconds: float = 1.0

    def infer(self, inputs):
        return self.submit(inputs).result()

    def submit(self, _inputs):
        received = self.core.compute(id(self), self.seconds)
        trace = StageTrace(
            stage=0,
            queue_seconds=self.queue_seconds,
            decode_seconds=0.0,
            compute_seconds=0.9 * self.seconds,
            encode_seconds=0.0,
        )
        answer = Future[Answer]()
        answer.set_result(Answer(request=0, outputs={}, sent_at=0.0, received_at=received, trace=(trace,)))
        return answer


def guest(of: Node, stage: Stage) -> Guest:
    return Guest(node=of, shard=None, samples=TrialSamples(), pipeline=stage, prober=None, inputs={})


def on_one(core, queue_seconds=1.0):
    """Two stages on nodes that share a core."""
    seconds_of = {"a": 0.004, "b": 0.002}
    return [guest(node(name, cores=[0]), Stage(core, each, queue_seconds)) for name, each in seconds_of.items()]


def busy_of(*groups):
    """Busy times of the stages of a company after one visit."""
    LiveTrial(groups, rest_seconds=0.0, seed=0).time_loaded(seconds=0.0, n_least=8)
    return [one.samples.busy[0] for group in groups for one in group]


def test_a_stage_by_itself_is_busy_from_answer_to_answer():
    assert busy_of([guest(node("a"), Stage(Core(), 0.004))]) == [pytest.approx(0.004)]


def test_a_stage_that_waits_for_its_link_is_busy_while_it_computes():
    assert busy_of([guest(node("a"), Stage(Core(), 0.004, queue_seconds=0.0))]) == [pytest.approx(0.0036)]


def test_stages_that_take_turns_are_stretched_by_what_that_costs():
    first, last = on_one(Core(switch_seconds=0.0003))
    busy = busy_of([first], [last])
    assert busy == [pytest.approx(0.0044), pytest.approx(0.0022)]
    assert sum(busy) == pytest.approx(0.004 + 0.002 + 2 * 0.0003)


def test_stages_that_do_not_hinder_each_other_are_not_stretched():
    first, last = on_one(Core())
    assert busy_of([first], [last]) == [pytest.approx(0.004), pytest.approx(0.002)]


def test_two_stages_of_one_node_have_a_time_each():
    core, both = Core(switch_seconds=0.0003), node("a", cores=[0])
    first, last = guest(both, Stage(core, 0.004)), guest(both, Stage(core, 0.002))
    assert busy_of([first], [last]) == [pytest.approx(0.0044), pytest.approx(0.0022)]


def test_stages_all_of_which_wait_for_their_links_are_not_stretched():
    first, last = on_one(Core(switch_seconds=0.0003), queue_seconds=0.0)
    assert busy_of([first], [last]) == [pytest.approx(0.0036), pytest.approx(0.0018)]
