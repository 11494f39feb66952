"""What is measured when, whatever interrupts it: the runner on a store in memory, with measuring made up."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_builders import MemoryStore, case, run_of, studies_of, sweep_file

from coordinator.errors import NodeDownError, SweepConflictError
from coordinator.results.values import Sweep
from coordinator.sweep.agenda import Agenda, Verdict
from coordinator.sweep.beginning import begin
from coordinator.sweep.cases import sweep_order
from coordinator.sweep.runner import Runner
from coordinator.sweep.trying import Attempt

CONFIG = sweep_file().config


class KilledError(BaseException):
    """Ends a coordinator at once, as SIGKILL would."""


def made_up_sweep(n_cases: int = 4, least: int = 2, most: int = 4) -> Sweep:
    cases = tuple(case(number) for number in range(n_cases))
    return Sweep(
        name="made-up",
        spec={},
        seed=0,
        created_at="",
        versions={},
        cases=cases,
        n_repeats=least,
        order=sweep_order(cases, 0, most),
    )


def rule(**changes: object):
    return CONFIG.repeats.model_copy(update={"least": 2, "most": 4, "interval": 0.05, "budget_seconds": None} | changes)


def runner_of(sweep, store, measure, *, owner="me", wait=lambda _: None, on_stand=lambda _: None, **changes):
    config = CONFIG.model_copy(update={"repeats": rule(**changes)})
    return Runner(sweep, config, store, owner=owner, measure=measure, expected_seconds={}, wait=wait, on_stand=on_stand)


def steady(_case) -> Attempt:
    return Attempt(state="done", figures={"latency_seconds": 1.0, "throughput_per_second": 2.0})


class Noisy:
    """Latencies that differ by half from run to run."""

    def __init__(self) -> None:
        self.n = Counter()

    def __call__(self, case) -> Attempt:
        self.n[case.key] += 1
        return Attempt(state="done", figures={"latency_seconds": 1.0 + self.n[case.key] % 2})


def stored(sweep: Sweep) -> MemoryStore:
    store = MemoryStore()
    store.add_sweep(sweep)
    return store


def measured(store: MemoryStore, sweep: Sweep) -> list[tuple[str, int]]:
    """Of `done` runs in the order in which they were recorded."""
    return [(run.case_key, run.repeat) for run in store._runs[sweep.name] if run.state == "done"]


def test_steady_cases_get_the_least_repeats_in_the_order_of_the_sweep() -> None:
    sweep = made_up_sweep()
    store = stored(sweep)
    outcome = runner_of(sweep, store, steady).run()
    assert measured(store, sweep) == list(sweep.order[: 2 * 4])
    assert (outcome.n_done, outcome.n_invalid, outcome.n_failed, outcome.missing) == (8, 0, 0, ())
    assert not store.claims


def test_noisy_cases_get_more_up_to_the_most() -> None:
    sweep = made_up_sweep()
    store = stored(sweep)
    runner_of(sweep, store, Noisy()).run()
    assert measured(store, sweep) == list(sweep.order)


def test_a_spent_budget_leaves_the_least() -> None:
    sweep = made_up_sweep()
    store = stored(sweep)
    for position in range(3):
        store.record(run_of(sweep, position, seconds=100.0))
    runner_of(sweep, store, Noisy(), budget_seconds=250.0).run()
    assert measured(store, sweep) == list(sweep.order[: 2 * 4])


def test_without_an_interval_all_repeats_are_measured() -> None:
    sweep = made_up_sweep()
    store = stored(sweep)
    runner_of(sweep, store, steady, interval=None).run()
    assert measured(store, sweep) == list(sweep.order)


def test_an_invalid_run_is_kept_and_repeated_at_once() -> None:
    sweep = made_up_sweep(n_cases=2)
    store, answers = stored(sweep), iter(["invalid", "failed", *["done"] * 20])
    runner_of(sweep, store, lambda _: replace(steady(_), state=next(answers))).run()
    kept = [(run.position, run.attempt, run.state) for run in store.runs(sweep.name)][:4]
    assert kept == [(0, 0, "invalid"), (0, 1, "failed"), (0, 2, "done"), (1, 0, "done")]


def test_what_stays_invalid_is_given_up_and_tried_again_by_the_next_call() -> None:
    sweep = made_up_sweep(n_cases=2)
    store, bad = stored(sweep), sweep.order[0][0]

    def measure(case) -> Attempt:
        return Attempt(state="invalid", reason="no delay") if case.key == bad else steady(case)

    outcome = runner_of(sweep, store, measure).run()
    assert outcome.n_done == 2
    assert all("no delay" in reason for reason in outcome.missing)
    assert outcome.n_invalid == 3 * 4  # the interval of the case never becomes narrow
    outcome = runner_of(sweep, store, steady).run()
    assert outcome.missing == ()
    assert set(measured(store, sweep)) == set(sweep.order[:4])


def test_nodes_that_are_down_end_the_sweep_and_free_the_claim() -> None:
    sweep = made_up_sweep()
    store = stored(sweep)

    def measure(_case) -> Attempt:
        raise NodeDownError("nobody there")

    with pytest.raises(NodeDownError):
        runner_of(sweep, store, measure).run()
    assert not store.claims
    assert not store.runs(sweep.name)


@settings(max_examples=60, deadline=None)
@given(kills=st.lists(st.integers(0, 9), max_size=25), noise=st.booleans())
def test_however_often_it_is_killed_the_runs_are_the_same(kills: list[int], noise: bool) -> None:
    sweep = made_up_sweep()
    store = stored(sweep)
    left = iter([*kills, 10**6])

    def until_killed():
        n, measure = next(left), Noisy() if noise else steady

        def measure_some(case) -> Attempt:
            nonlocal n
            n -= 1
            if n < 0:
                raise KilledError
            return measure(case)

        return measure_some

    while True:
        try:
            runner_of(sweep, store, until_killed(), interval=None).run()
        except KilledError:
            continue
        break
    assert measured(store, sweep) == list(sweep.order)


def test_two_coordinators_share_the_work_and_wait_for_each_other() -> None:
    sweep = made_up_sweep()
    store = stored(sweep)
    key, repeat = sweep.order[1]
    assert store.claim(sweep.name, key, repeat, owner="other", lease_seconds=100.0)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        store.record(run_of(sweep, 1))

    runner_of(sweep, store, steady, wait=wait).run()
    assert len(waits) == 1
    assert Counter(measured(store, sweep)) == Counter(sweep.order[: 2 * 4])


def test_what_a_lost_coordinator_claimed_is_measured_once_its_lease_is_over() -> None:
    sweep = made_up_sweep()
    store = stored(sweep)
    key, repeat = sweep.order[1]
    store.claim(sweep.name, key, repeat, owner="lost", lease_seconds=100.0)

    def wait(seconds: float) -> None:
        store.now += 60.0

    runner_of(sweep, store, steady, wait=wait).run()
    assert set(measured(store, sweep)) == set(sweep.order[: 2 * 4])


def test_a_run_that_another_was_quicker_with_is_dropped() -> None:
    sweep = made_up_sweep()
    store = stored(sweep)

    def measure(case) -> Attempt:
        if case.key == sweep.order[0][0] and not store.runs(sweep.name):
            store.record(run_of(sweep, 0, coordinator="other"))
        return steady(case)

    runner_of(sweep, store, measure).run()
    assert measured(store, sweep) == list(sweep.order[: 2 * 4])
    assert store.runs(sweep.name)[0].coordinator == "other"


def test_repeats_beyond_the_least_wait_for_earlier_ones() -> None:
    sweep = made_up_sweep(n_cases=1)
    agenda = Agenda(sweep=sweep, rule=rule())
    key = sweep.cases[0].key
    assert agenda.verdict(key, 2) is Verdict.UNDECIDED
    agenda.add([run_of(sweep, 0), run_of(sweep, 1, figures={"latency_seconds": 2.0})])
    assert agenda.verdict(key, 2) is Verdict.WANTED
    assert agenda.verdict(key, 3) is Verdict.UNDECIDED
    agenda.given_up.add((key, 2))
    assert agenda.verdict(key, 3) is Verdict.WANTED


def test_a_case_that_is_narrow_wants_no_repeat_that_another_coordinator_left_out() -> None:
    sweep = made_up_sweep(n_cases=1, most=6)
    agenda = Agenda(sweep=sweep, rule=rule(most=6))
    agenda.add([run_of(sweep, 0), run_of(sweep, 1), run_of(sweep, 3)])
    key = sweep.cases[0].key
    assert {agenda.verdict(key, repeat) for repeat in (2, 4, 5)} == {Verdict.ENOUGH}
    assert agenda.left() == []


def test_thousands_of_repeats_are_on_the_agenda() -> None:
    sweep = made_up_sweep(n_cases=2, most=3000)
    agenda = Agenda(sweep=sweep, rule=rule(most=3000, interval=None))
    assert len(agenda.left()) == 6000
    agenda.add(run_of(sweep, position) for position in range(4000))
    assert agenda.left() == list(range(4000, 6000))


def test_progress_tells_what_is_left() -> None:
    sweep = made_up_sweep()
    stands = []
    runner_of(sweep, stored(sweep), steady, on_stand=stands.append).run()
    assert [stand.n_done for stand in stands] == [*range(8), 8]
    assert stands[0].n_left == 16
    assert stands[-1].n_left == 0
    assert "split" in stands[0].doing


def test_a_sweep_is_taken_up_with_its_cases_and_refused_with_another_file() -> None:
    store, file = MemoryStore(), sweep_file()
    first = begin(file, studies_of(file), store)
    assert first.is_new
    assert [number for _, number in first.sweep.order] == sorted(number for _, number in first.sweep.order)
    again = begin(file, (), store)
    assert again.sweep == first.sweep
    assert not again.is_new
    with pytest.raises(SweepConflictError, match="seed, window differ"):
        begin(sweep_file(seed=5, window=3), studies_of(file), store)


def test_a_sweep_is_not_taken_up_with_another_model() -> None:
    store, file = MemoryStore(), sweep_file()
    (study,) = studies_of(file)
    begin(file, (study,), store)
    other = replace(study, graph=replace(study.graph, model_sha256="cd34" * 16))
    with pytest.raises(SweepConflictError, match="chain is not the model that sweep 'made-up' was begun with"):
        begin(file, (other,), store)
