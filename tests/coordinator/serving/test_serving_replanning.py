"""Which plan is chosen on what is left, and what is learnt of failures."""

from dataclasses import replace

import pytest
from serving_fakes import candidate_on

from benchmarks._made_up_plans import made_up_cost_model
from coordinator.errors import NoPlanError
from coordinator.planning import search_front
from coordinator.serving.lessons import AT_ONCE_SECONDS, AVOIDED_SECONDS, MOST_STARTS, Lessons
from coordinator.serving.replanning import Circumstances, Replanner, is_worthwhile, restricted
from coordinator.wishes import SearchWish
from partitioner.cluster import SharedMedium
from partitioner.errors import InfeasibleError
from partitioner.onnx_io import load_model
from partitioner.processors import SharedProcessor

FRONT = (
    candidate_on("d", throughput=90, latency=0.01),
    candidate_on("b", "d", throughput=150, latency=0.015),
    candidate_on("a", "b", "d", throughput=200, latency=0.02),
    candidate_on("a", "b", "c", throughput=300, latency=0.03),
)


def on(nodes, **changes):
    return Circumstances(usable=frozenset(nodes), **changes)


def devices(choice):
    return "".join(stage.device for stage in choice.candidate.plan.stages)


@pytest.mark.parametrize(
    ("nodes", "wish", "expected"),
    [
        ("abcd", "throughput", "abc"),
        ("abd", "throughput", "abd"),
        ("abd", "latency", "d"),
        ("bd", "throughput", "bd"),
        ("abcd", "latency<=16ms", "bd"),
        ("abd", "2", "bd"),
    ],
)
def test_the_best_of_the_front_that_is_alive_is_chosen_by_the_same_wish(nodes, wish, expected):
    choice = Replanner(FRONT, wish=wish).choose(on(nodes))
    assert devices(choice) == expected
    assert choice.origin.startswith("of the known front")


def test_a_wish_that_nothing_left_answers_gives_the_knee_and_says_so():
    choice = Replanner(FRONT, wish="throughput>=250").choose(on("abd"))
    assert "none answers the wish 'throughput>=250', so the knee" in choice.origin


def test_where_the_front_has_nothing_the_search_is_asked_once():
    asked = []

    def search(usable, broken):
        asked.append((usable, broken))
        return [candidate_on("a", "c")]

    replanner = Replanner(FRONT, search=search)
    replanner.prepare(on("abc"), "b")
    assert asked == [(frozenset("ac"), frozenset())]
    assert devices(replanner.choose(on("ac"))) == "ac"
    assert len(asked) == 1
    assert replanner.choose(on("ac")).origin == "searched on a, c"


def test_no_more_is_chosen_ahead_once_the_plan_serves_no_more():
    asked = []

    def search(usable, broken):
        asked.append(usable)
        return [candidate_on(*usable)]

    Replanner((), search=search).prepare(on("abc"), "abc", is_over=lambda: bool(asked))
    assert asked == [frozenset("bc")]


def test_without_any_plan_the_reason_of_the_search_is_said():
    def search(usable, broken):
        raise InfeasibleError("device 'a' has 3 MiB, the model needs 9 MiB.")

    with pytest.raises(NoPlanError, match="No plan can be run on a: device 'a' has 3 MiB"):
        Replanner(FRONT, search=search).choose(on("a"))
    with pytest.raises(NoPlanError, match="no plan of the front is on these nodes alone"):
        Replanner(FRONT).choose(on("a"))
    with pytest.raises(NoPlanError, match="no node at all"):
        Replanner(FRONT, search=search).choose(on(""))


def test_a_broken_link_a_plan_set_aside_and_plans_that_hold_a_refuted_set_are_avoided():
    replanner = Replanner(FRONT, wish="throughput")
    assert devices(replanner.choose(on("abcd", broken_links=frozenset({("b", "c")})))) == "abd"
    assert devices(replanner.choose(on("abcd", broken_links=frozenset({("c", "b")})))) == "abc"
    assert devices(replanner.choose(on("abcd", set_aside=frozenset({FRONT[3].plan.stages})))) == "abd"
    assert devices(replanner.choose(on("abcd", refuted=frozenset({frozenset("abc")})))) == "abd"
    both = frozenset({frozenset("abc"), frozenset("abd")})
    assert devices(replanner.choose(on("abcd", refuted=both))) == "bd"


def test_after_wrong_outputs_the_search_leaves_out_one_suspect_after_the_other():
    asked = []

    def search(usable, broken):
        asked.append("".join(sorted(usable)))
        return [candidate_on(*sorted(usable))]

    found = Replanner((), search=search).choose(on("abc", refuted=frozenset({frozenset("ab")})))
    assert devices(found) == "bc"
    assert asked == ["abc", "bc"]


def test_plans_that_cannot_be_run_are_not_looked_at():
    replanner = Replanner(FRONT, wish="throughput", is_runnable=lambda plan: len(plan.stages) < 3)
    assert devices(replanner.choose(on("abcd"))) == "bd"


def test_a_cost_model_is_restricted_to_what_is_left(toy_model):
    model = load_model(str(toy_model))
    whole = made_up_cost_model(model, "abc")
    pairs = (("a", "b"), ("b", "c"))
    media = (SharedMedium(name="air", links=pairs), SharedMedium(name="wire", links=(("c", "a"), ("a", "c"))))
    cores = (SharedProcessor(name="host", shares=(("a", 0.5), ("c", 1.0))),)
    whole = replace(whole, cluster=replace(whole.cluster, media=media, processors=cores))
    left = restricted(whole, frozenset("ab"), frozenset({("b", "a")})).cluster
    assert [device.name for device in left.devices] == ["a", "b"]
    assert {(link.source, link.target) for link in left.links} == {
        ("client", "a"),
        ("client", "b"),
        ("a", "client"),
        ("b", "client"),
        ("a", "b"),
    }
    assert [(medium.name, medium.links) for medium in left.media] == [("air", (("a", "b"),))]
    assert left.processors == (SharedProcessor(name="host", shares=(("a", 0.5),)),)
    found = search_front((restricted(whole, frozenset("a")),), SearchWish(), None).front
    assert {stage.device for one in found for stage in one.plan.stages} == {"a"}


def test_a_switch_must_be_worth_it():
    now = candidate_on("a", throughput=100, latency=0.02).cost
    assert not is_worthwhile(now, candidate_on("b", throughput=109, latency=0.0185).cost)
    assert is_worthwhile(now, candidate_on("b", throughput=111, latency=0.05).cost)
    assert is_worthwhile(now, candidate_on("b", throughput=50, latency=0.018).cost)


def test_a_plan_is_set_aside_when_it_breaks_twice_at_once_and_for_a_while():
    lessons, plan = Lessons(), FRONT[0].plan
    lessons.broke(plan, 0.0)
    lessons.broke(plan, AT_ONCE_SECONDS + 1)
    assert not lessons.circumstances(frozenset(), AT_ONCE_SECONDS + 1).set_aside
    lessons.broke(plan, AT_ONCE_SECONDS + 2)
    then = AT_ONCE_SECONDS + 2
    assert lessons.circumstances(frozenset(), then).set_aside == {plan.stages}
    assert not lessons.circumstances(frozenset(), then + AVOIDED_SECONDS).set_aside


def test_what_fails_again_soon_is_avoided_longer():
    lessons, plan = Lessons(), FRONT[0].plan

    def is_avoided(at):
        return bool(lessons.circumstances(frozenset(), at).set_aside)

    lessons.refused(plan, 0.0)
    then = AVOIDED_SECONDS
    assert not is_avoided(then)
    lessons.refused(plan, then)
    assert is_avoided(then + 1.5 * AVOIDED_SECONDS)
    then += 2 * AVOIDED_SECONDS
    assert not is_avoided(then)
    then += 2 * AVOIDED_SECONDS
    lessons.refused(plan, then)
    assert not is_avoided(then + AVOIDED_SECONDS)


def test_what_is_known_of_a_node_is_forgotten_when_another_process_answers_there():
    lessons = Lessons()
    lessons.refute(frozenset("ab"))
    lessons.refute(frozenset("cd"))
    lessons.cut(("a", "c"), 0.0)
    lessons.cut(("c", "d"), 0.0)
    lessons.renewed("a")
    found = lessons.circumstances(frozenset("abcd"), 1.0)
    assert found.refuted == {frozenset("cd")}
    assert found.broken_links == {("c", "d")}


def test_starts_are_bounded_within_a_minute():
    lessons = Lessons()
    assert all(lessons.may_start(at * 0.1) for at in range(MOST_STARTS))
    assert not lessons.may_start(5.0)
    assert lessons.may_start(100.0)
