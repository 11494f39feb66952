"""Services on a cluster in memory: what is lost, wrong, cut, slow or wished for, and what becomes of requests."""

import threading
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from serving_fakes import POISON, FakeCluster, candidate_on, wait_until, x_of

from coordinator.errors import (
    GivenUpError,
    MeasurementError,
    OutputMismatchError,
    PlanRefusedError,
    RequestLostError,
    ServiceEndedError,
)
from coordinator.serving import events as kinds
from coordinator.serving.events import EventLog
from coordinator.serving.patience import Patience
from coordinator.serving.replanning import Replanner
from coordinator.serving.served import Served
from coordinator.serving.service import Service
from node_agent.errors import RequestRejectedError, StageFailedError
from partitioner.tensors import TensorSpec

FRONT = (
    candidate_on("a", "b", "c", throughput=300, latency=0.02),
    candidate_on("a", "b", "d", throughput=200, latency=0.02),
    candidate_on("b", "d", throughput=150, latency=0.015),
    candidate_on("d", throughput=90, latency=0.01),
    candidate_on("a", throughput=50, latency=0.012),
)
QUICK = Patience(for_nodes=1.0, for_answers=0.5, for_drain=2.0, for_settling=0.0)


@contextmanager
def serving(cluster, *, front=FRONT, first=FRONT[0], patience=QUICK, wish="throughput", search=None, running=None):
    served = []
    service = Service(
        cluster,
        Replanner(front, wish=wish, search=search),
        cluster.hearts(),
        name="d",
        inputs=[TensorSpec(name="x", dtype="float64", shape=(2,))],
        events=EventLog(),
        members=cluster,
        on_served=served.append,
        patience=patience,
    )
    service.served = served
    try:
        service.start(first, running)
        yield service
    finally:
        service.close()


def devices(service):
    return tuple(stage.device for stage in service.candidate.plan.stages) if service.candidate else ()


def told(service, kind):
    return [event for event in service.events.events if event.kind == kind]


def answers_right(future, number):
    np.testing.assert_array_equal(future.result(20).outputs["y"], 2 * x_of(number)["x"])


@pytest.fixture
def cluster():
    return FakeCluster("a", "b", "c", "d")


def test_requests_are_answered_and_the_plan_is_taken_off(cluster):
    with serving(cluster) as service:
        for number in range(20):
            answers_right(service.submit(x_of(number)), number)
        assert service.check().relative == 0
        assert (devices(service), service.epoch) == (("a", "b", "c"), 1)
    assert cluster.freed[-1] == (frozenset("abcd"), 0, None)
    with pytest.raises(ServiceEndedError, match="closed"):
        service.submit(x_of(0))


@pytest.mark.parametrize("victim", ["a", "b", "c"])
def test_a_killed_node_costs_no_answer(cluster, victim):
    with serving(cluster) as service:
        futures = []
        for number in range(60):
            futures.append(service.submit(x_of(number)))
            if number == 20:
                cluster.kill(victim)
        for number, future in enumerate(futures):
            answers_right(future, number)
        assert victim not in devices(service)
        wait_until(lambda: told(service, kinds.RECOVERED))
        (lost,), (recovered,) = told(service, kinds.NODE_LOST), told(service, kinds.RECOVERED)
        assert lost.node == victim
        assert recovered.duration_seconds > 0
        assert recovered.epoch == service.epoch > 1
        assert f"'{victim}'" in recovered.cause or victim in recovered.cause
        assert [served.epoch for served in service.served][-1] == service.epoch


def test_the_best_plan_of_the_front_on_the_survivors_takes_over(cluster):
    with serving(cluster) as service:
        cluster.kill("c")
        wait_until(lambda: devices(service) == ("a", "b", "d"))
        cluster.kill("a")
        wait_until(lambda: devices(service) == ("b", "d"))
        assert len(told(service, kinds.REPLANNED)) == 2


def test_neither_a_loss_whose_plan_is_known_nor_the_end_waits_for_a_search(cluster):
    gate, asked, found = threading.Event(), [], []

    def search(usable, _broken):
        asked.append(usable)
        gate.wait(60)
        found.append(usable)
        return [candidate_on("d")]

    with serving(cluster, front=FRONT[:2], search=search) as service:
        wait_until(lambda: asked)
        cluster.kill("c")
        wait_until(lambda: devices(service) == ("a", "b", "d"))
        cluster.kill("a")
        wait_until(lambda: frozenset("bd") in asked)
    assert not found
    gate.set()
    wait_until(lambda: len(found) == len(asked))


def test_a_node_that_is_back_ends_the_wait_for_a_search(cluster):
    gate, asked = threading.Event(), []

    def search(usable, _broken):
        asked.append(usable)
        gate.wait(60)
        return [candidate_on("d")]

    with serving(cluster, front=FRONT[:1], search=search) as service:
        cluster.kill("c")
        wait_until(lambda: told(service, kinds.NODE_LOST))
        wait_until(lambda: frozenset("abd") in asked)
        cluster.revive("c")
        wait_until(lambda: service.epoch == 2)
        assert devices(service) == ("a", "b", "c")
    gate.set()


def test_a_node_that_restarts_empty_is_given_its_stage_again(cluster):
    with serving(cluster) as service:
        answers_right(service.submit(x_of(1)), 1)
        cluster.restart("b")
        wait_until(lambda: service.epoch == 2)
        assert devices(service) == ("a", "b", "c")
        answers_right(service.submit(x_of(2)), 2)


def test_a_node_that_restarts_unnoticed_by_its_streams_is_found_by_its_name(cluster):
    with serving(cluster) as service:
        cluster.instances["b"] = "another"
        wait_until(lambda: service.epoch == 2)
        assert told(service, kinds.NODE_RESTARTED)[0].node == "b"


def test_a_stream_that_breaks_alone_brings_the_same_plan_up_again(cluster):
    with serving(cluster) as service:
        futures = [service.submit(x_of(number)) for number in range(3)]
        cluster.break_streams("b")
        wait_until(lambda: service.epoch == 2)
        for number, future in enumerate(futures):
            answers_right(future, number)
        assert devices(service) == ("a", "b", "c")
        assert not told(service, kinds.NODE_LOST)
        (broken,) = told(service, kinds.LINE_BROKEN)
        assert "stream to b" in broken.cause


def test_a_plan_that_breaks_again_at_once_is_set_aside(cluster):
    with serving(cluster) as service:
        cluster.break_streams("b")
        wait_until(lambda: service.epoch == 2)
        cluster.break_streams("b")
        wait_until(lambda: devices(service) == ("a", "b", "d"))


def test_a_link_that_is_cut_is_avoided(cluster):
    with serving(cluster) as service:
        cluster.cut.add(("b", "c"))
        cluster.break_streams("b")
        wait_until(lambda: devices(service) == ("a", "b", "d"))
        assert not told(service, kinds.NODE_LOST)
        assert told(service, kinds.ATTEMPT_FAILED)


def test_a_node_that_computes_wrongly_is_found_and_left(cluster):
    with serving(cluster) as service:
        cluster.liars.add("b")
        with pytest.raises(OutputMismatchError):
            service.check()
        wait_until(lambda: devices(service) and "b" not in devices(service))
        assert service.check().relative == 0
        assert told(service, kinds.WRONG_OUTPUTS)


def test_a_poison_request_ends_in_its_own_error_and_harms_no_other(cluster):
    with serving(cluster) as service:
        numbers = [1.0, POISON, 2.0, 3.0]
        good, poison, *others = [service.submit(x_of(number)) for number in numbers]
        with pytest.raises(StageFailedError, match="stage 0 on 'a'"):
            poison.result(20)
        answers_right(good, 1)
        for number, future in zip(numbers[2:], others, strict=True):
            answers_right(future, number)
        assert service.epoch == 1
        (failed,) = told(service, kinds.REQUEST_FAILED)
        assert "stage 0 on 'a'" in failed.cause


def test_a_request_that_kills_the_node_it_reaches_ends_in_an_error_that_says_so(cluster):
    compute = cluster._compute

    def fatal(devices, frame):
        if dict(frame.tensors)["x"][0] == 666:
            cluster.restart(devices[0])
        return compute(devices, frame)

    cluster._compute = fatal
    with serving(cluster) as service:
        futures = {number: service.submit(x_of(number)) for number in (1, 666, 2, 3)}
        with pytest.raises(RequestLostError, match="stage 0 on '"):
            futures[666].result(20)
        for number in (1, 2, 3):
            answers_right(futures[number], number)


def test_a_line_that_answers_nothing_is_replaced(cluster):
    with serving(cluster) as service:
        cluster.hold[1] = threading.Event()
        future = service.submit(x_of(5))
        answers_right(future, 5)
        assert service.epoch == 2
        cluster.hold[1].set()
        wait_until(lambda: told(service, kinds.LINE_BROKEN))


def test_without_a_plan_it_waits_for_nodes_and_goes_on_when_one_is_back(cluster):
    with serving(cluster, front=FRONT[:1], patience=Patience(for_nodes=20, for_settling=0)) as service:
        cluster.kill("b")
        wait_until(lambda: told(service, kinds.WAITING))
        future = service.submit(x_of(3))
        cluster.revive("b")
        answers_right(future, 3)
        assert told(service, kinds.NODE_BACK)[0].node == "b"


def test_without_a_plan_for_too_long_every_request_ends_in_the_reason(cluster):
    with serving(cluster, front=FRONT[:1], patience=Patience(for_nodes=0.3)) as service:
        cluster.kill("b")
        wait_until(lambda: told(service, kinds.WAITING))
        future = service.submit(x_of(3))
        with pytest.raises(ServiceEndedError, match="No plan can be run on a, c, d"):
            future.result(20)
        with pytest.raises(ServiceEndedError):
            service.submit(x_of(3))
        assert told(service, kinds.GIVEN_UP)


@pytest.mark.slow
def test_plans_that_break_as_fast_as_they_come_up_are_given_up(cluster):
    cluster.on_load = lambda candidate, epoch: epoch > 1 and cluster.restart("d")
    with serving(cluster, front=(candidate_on("d"),), first=candidate_on("d")) as service:
        cluster.restart("d")
        wait_until(lambda: told(service, kinds.GIVEN_UP), 60)
        with pytest.raises(ServiceEndedError):
            service.submit(x_of(1))


def test_a_service_that_cannot_start_says_why(cluster):
    cluster.dead.update("abcd")
    with pytest.raises(GivenUpError, match="no node at all"), serving(cluster, patience=Patience(for_nodes=0.2)):
        pytest.fail("it started")


def test_a_node_lost_while_the_first_plan_is_brought_up_is_planned_around(cluster):
    cluster.on_load = lambda candidate, epoch: epoch == 1 and cluster.kill("b")
    with serving(cluster) as service:
        assert devices(service) == ("d",)
        answers_right(service.submit(x_of(1)), 1)


def test_a_node_that_is_back_is_used_where_that_is_worth_a_switch(cluster):
    with serving(cluster) as service:
        cluster.kill("c")
        wait_until(lambda: devices(service) == ("a", "b", "d"))
        cluster.revive("c")
        wait_until(lambda: devices(service) == ("a", "b", "c"))
        wait_until(lambda: told(service, kinds.SWITCHED))
        assert "nodes came back" in told(service, kinds.SWITCHED)[0].cause


def test_a_node_that_is_back_before_the_next_plan_serves_is_used_again(cluster):
    def come_back(candidate, epoch):
        if epoch == 2:
            cluster.revive("c")
            wait_until(lambda: told(service, kinds.NODE_BACK))

    with serving(cluster) as service:
        cluster.on_load = come_back
        cluster.kill("c")
        wait_until(lambda: service.epoch == 2)
        assert devices(service) == ("a", "b", "d")
        wait_until(lambda: devices(service) == ("a", "b", "c"))


def test_a_node_that_was_silent_without_being_lost_is_used_again(cluster):
    with serving(cluster) as service:
        cluster.silent.add("c")
        cluster.break_streams("c")
        wait_until(lambda: devices(service) == ("a", "b", "d"))
        cluster.silent.clear()
        wait_until(lambda: devices(service) == ("a", "b", "c"))
        assert not told(service, kinds.NODE_LOST)


def test_a_plan_that_did_not_come_up_when_its_node_was_back_is_tried_again(cluster):
    def refuse(candidate, epoch):
        if epoch == 3:
            raise PlanRefusedError("no memory yet", device="c", next_device=None, is_unreachable=False)

    cluster.on_load = refuse
    with serving(cluster, patience=replace(QUICK, for_another_try=0.2)) as service:
        cluster.kill("c")
        wait_until(lambda: devices(service) == ("a", "b", "d"))
        cluster.revive("c")
        wait_until(lambda: devices(service) == ("a", "b", "c"))
        wait_until(lambda: told(service, kinds.SWITCHED))
        assert len(told(service, kinds.SWITCH_FAILED)) == 1
        (switched,) = told(service, kinds.SWITCHED)
        assert "what failed may be tried again" in switched.cause


def test_a_node_that_brings_little_is_not_switched_to(cluster):
    little = (candidate_on("a", "c", throughput=104), candidate_on("a", "b", throughput=100))
    with serving(cluster, front=little, first=little[0]) as service:
        cluster.kill("c")
        wait_until(lambda: devices(service) == ("a", "b"))
        cluster.revive("c")
        wait_until(lambda: told(service, kinds.NODE_BACK))
        for number in range(20):
            answers_right(service.submit(x_of(number)), number)
        assert devices(service) == ("a", "b")


@pytest.mark.parametrize("is_roomy", [True, False])
def test_a_switch_while_running_loses_nothing(cluster, is_roomy):
    cluster.is_roomy = is_roomy
    with serving(cluster) as service:
        futures = []
        for number in range(60):
            futures.append(service.submit(x_of(number)))
            if number == 30:
                done = service.switch(FRONT[1])
        done.result(20)
        for number, future in enumerate(futures):
            answers_right(future, number)
        assert devices(service) == ("a", "b", "d")
        (switched,) = told(service, kinds.SWITCHED)
        assert ("side by side" in switched.cause) == is_roomy
        wait_until(lambda: any(last == 1 for _, _, last in cluster.freed))


def test_a_plan_that_does_not_drain_is_left_and_its_requests_go_to_the_next(cluster):
    with serving(cluster, patience=Patience(for_answers=60, for_drain=0.2)) as service:
        cluster.hold[1] = threading.Event()
        futures = [service.submit(x_of(number)) for number in range(3)]
        service.switch(FRONT[1]).result(20)
        for number, future in enumerate(futures):
            answers_right(future, number)
        assert service.n_dropped == 0
        cluster.hold[1].set()


@pytest.mark.parametrize("is_roomy", [True, False])
def test_a_switch_that_fails_leaves_the_former_plan_serving(cluster, is_roomy):
    cluster.is_roomy = is_roomy
    cluster.cut.add(("b", "d"))
    with serving(cluster) as service:
        future = service.submit(x_of(1))
        with pytest.raises(Exception, match="no b"):
            service.switch(FRONT[1]).result(20)
        answers_right(future, 1)
        answers_right(service.submit(x_of(2)), 2)
        assert devices(service) == ("a", "b", "c")
        assert told(service, kinds.SWITCH_FAILED)


def test_a_switch_that_was_asked_for_goes_on_though_nobody_waits_for_it_any_more(cluster):
    with serving(cluster) as service:
        done = service.switch(FRONT[1])
        assert not done.cancel()
        done.result(20)
        answers_right(service.submit(x_of(1)), 1)
        assert devices(service) == ("a", "b", "d")


def test_a_switch_after_the_end_ends_in_an_error_that_says_so(cluster):
    with serving(cluster) as service:
        pass
    with pytest.raises(GivenUpError, match="ended before"):
        service.switch(FRONT[1]).result(20)


def test_what_a_killed_coordinator_had_loaded_for_later_epochs_is_freed_and_gone_beyond(cluster):
    cluster.left = {1, 3}
    with serving(cluster, running=Served(name="d", epoch=1, candidate=FRONT[0])) as service:
        assert service.epoch == 1
        assert (frozenset("abcd"), 2, 3) in cluster.freed
        cluster.break_streams("b")
        wait_until(lambda: service.epoch == 4)


def test_where_nothing_can_be_adopted_the_wished_plan_is_brought_up_above_all_that_is_left(cluster):
    cluster.left = {3}
    with serving(cluster, running=Served(name="d", epoch=1, candidate=FRONT[0])) as service:
        assert (devices(service), service.epoch) == (("a", "b", "c"), 4)
        wait_until(lambda: (frozenset("abcd"), 0, 3) in cluster.freed)


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ({"z": np.zeros(1)}, "'x' is missing"),
        ({"x": np.array([object(), object()])}, r"'x' is object of shape \(2,\), the model takes float64 of \(2,\)"),
        ({"x": np.zeros(2, np.float32)}, r"'x' is float32 of shape \(2,\)"),
        ({"x": np.zeros((3, 2))}, r"'x' is float64 of shape \(3, 2\)"),
    ],
)
def test_what_is_no_request_of_the_model_is_rejected_at_once(cluster, inputs, fault):
    with serving(cluster) as service:
        with pytest.raises(RequestRejectedError, match=fault):
            service.submit(inputs)
        answers_right(service.submit(x_of(1)), 1)
        assert service.epoch == 1


def test_the_window_bounds_what_waits(cluster):
    with serving(cluster, patience=Patience(for_answers=60)) as service:
        cluster.hold[1] = threading.Event()
        futures = [service.submit(x_of(number)) for number in range(4)]
        with pytest.raises(MeasurementError, match="window full"):
            service.submit(x_of(9), timeout_seconds=0.05)
        cluster.hold[1].set()
        for number, future in enumerate(futures):
            answers_right(future, number)


def test_closing_ends_what_is_open_and_every_thread(cluster):
    before = set(threading.enumerate())
    with serving(cluster, patience=Patience(for_answers=60)) as service:
        cluster.hold[1] = threading.Event()
        future = service.submit(x_of(1))
    with pytest.raises(ServiceEndedError, match="closed"):
        future.result(1)
    cluster.hold[1].set()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread not in before])


def test_links_that_drop_double_and_reorder_lose_and_double_nothing(cluster):
    draw = np.random.default_rng(11)
    held = []

    def mischief(frames):
        out = []
        for frame in frames:
            is_canary = frame.request == 0
            luck = 1.0 if is_canary else draw.random()
            if luck < 0.05:
                continue
            if luck < 0.2:
                held.append(frame)
                continue
            out += [frame, frame] if luck < 0.4 else [frame]
            out += [held.pop(draw.integers(len(held)))] if held and luck > 0.6 else []
        return out

    cluster.mischief = mischief
    patience = Patience(for_answers=0.2, for_nodes=5, for_settling=0)
    with serving(cluster, patience=patience) as service:
        ended = []
        futures = []
        for number in range(100):
            future = service.submit(x_of(number), timeout_seconds=60)
            future.add_done_callback(ended.append)
            futures.append(future)
        _done, pending = wait(futures, timeout=60)
        assert not pending
        assert len(ended) == len(set(map(id, ended))) == 100
        n_lost = 0
        for number, future in enumerate(futures):
            try:
                answers_right(future, number)
            except RequestLostError:
                n_lost += 1
        assert n_lost < 10
        assert service.n_dropped == 0, "the pipeline drops what is doubled"
