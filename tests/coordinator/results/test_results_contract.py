"""What every store of results promises, on SQLite and on PostgreSQL alike."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from result_builders import bits, measured_sweeps, sample_run, sample_sweep

from coordinator.errors import ResultStoreError, RunKnownError, SweepConflictError, SweepUnknownError
from coordinator.results.store import open_store

FOREVER = 1e6


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def sweep(store):
    added = sample_sweep()
    store.add_sweep(added)
    return added


class TestResultStore:
    def test_gives_back_a_sweep(self, store, sweep):
        assert store.sweep("paper") == sweep
        assert store.runs("paper") == ()
        assert [case.key for case in store.sweep("paper").cases] == [case.key for case in sweep.cases]

    def test_adding_the_same_sweep_on_another_day_changes_nothing(self, store, sweep):
        store.record(sample_run(sweep))
        store.add_sweep(dataclasses.replace(sweep, created_at="2027-01-01T00:00:00+00:00", versions={"python": "4"}))
        assert store.sweep("paper") == sweep
        assert len(store.runs("paper")) == 1

    @pytest.mark.parametrize("changes", [{"seed": 8}, {"n_repeats": 3}, {"spec": {}}, {"order": ()}, {"cases": ()}])
    def test_refuses_another_sweep_of_the_same_name(self, store, sweep, changes):
        with pytest.raises(SweepConflictError, match=r"'paper'.*another name"):
            store.add_sweep(dataclasses.replace(sweep, **changes))
        assert store.sweep("paper") == sweep

    def test_lists_sweeps_the_oldest_first(self, store, sweep):
        store.add_sweep(sample_sweep("young", created_at="2027-01-01T00:00:00+00:00"))
        store.add_sweep(sample_sweep("old", created_at="2025-01-01T00:00:00+00:00"))
        assert store.sweeps() == ("old", "paper", "young")

    def test_an_unknown_sweep_is_an_error_that_names_the_known_ones(self, store, sweep):
        key = sweep.cases[0].key
        for ask in (
            lambda: store.sweep("papre"),
            lambda: store.runs("papre"),
            lambda: list(store.samples("papre")),
            lambda: store.claim("papre", key, 0, owner="me", lease_seconds=1),
            lambda: store.record(sample_run(dataclasses.replace(sweep, name="papre"))),
        ):
            with pytest.raises(SweepUnknownError, match="no sweep 'papre': it has 'paper'"):
                ask()

    def test_an_unknown_case_is_an_error(self, store, sweep):
        with pytest.raises(ResultStoreError, match=r"'paper'.*no case 'nowhere'"):
            store.claim("paper", "nowhere", 0, owner="me", lease_seconds=1)
        with pytest.raises(ResultStoreError, match=r"'paper'.*no case 'nowhere'"):
            store.record(dataclasses.replace(sample_run(sweep), case_key="nowhere"))

    def test_gives_back_runs_by_position_then_attempt(self, store, sweep):
        runs = [
            sample_run(sweep, case=case, repeat=repeat, attempt=attempt, state=state)
            for case in range(3)
            for repeat in range(2)
            for attempt, state in ((1, "done"), (0, "invalid"))
        ]
        for run in runs:
            store.record(run)
        ordered = sorted(runs, key=lambda run: (run.position, run.attempt))
        assert store.runs("paper", with_samples=True) == tuple(ordered)
        assert store.runs("paper") == tuple(dataclasses.replace(run, samples=()) for run in ordered)

    def test_gives_samples_run_after_run(self, store, sweep):
        first, second = sample_run(sweep, case=2), sample_run(sweep, case=0, n_samples=0)
        store.record(second)
        store.record(first)
        bare = [(dataclasses.replace(run, samples=()), run.samples) for run in (first, second)]
        assert list(store.samples("paper")) == bare
        assert list(store.samples("paper", case_key=second.case_key)) == bare[1:]

    def test_the_very_same_run_may_be_recorded_again(self, store, sweep):
        run = sample_run(sweep)
        store.record(run)
        store.record(run)
        assert store.runs("paper", with_samples=True) == (run,)

    def test_refuses_another_run_in_the_place_of_one(self, store, sweep):
        run = sample_run(sweep, state="invalid")
        store.record(run)
        for changes in ({"seconds": 9.0}, {"samples": run.samples[1:]}, {"state": "done"}):
            with pytest.raises(RunKnownError, match="another run"):
                store.record(dataclasses.replace(run, **changes))
        assert store.runs("paper", with_samples=True) == (run,)

    def test_keeps_one_done_run_of_a_repeat(self, store, sweep):
        first = sample_run(sweep, attempt=0)
        store.record(first)
        with pytest.raises(RunKnownError, match="too late: attempt 0 is done"):
            store.record(sample_run(sweep, attempt=1))
        late = sample_run(sweep, attempt=2, state="failed")
        store.record(late)
        store.record(sample_run(sweep, repeat=1))
        assert [(run.repeat, run.attempt) for run in store.runs("paper")] == [(0, 0), (0, 2), (1, 0)]

    def test_a_repeat_is_claimed_by_one_owner(self, store, sweep):
        key = sweep.cases[0].key

        def claim(owner, repeat=0, lease_seconds=FOREVER):
            return store.claim("paper", key, repeat, owner=owner, lease_seconds=lease_seconds)

        assert claim("me")
        assert not claim("you")
        assert claim("me"), "it is mine already"
        assert claim("you", repeat=1)
        store.release("paper", key, 0, owner="you")
        assert not claim("you"), "nobody frees what is not his"
        store.release("paper", key, 0, owner="me")
        assert claim("you")

    def test_a_lease_that_ran_out_is_free(self, store, sweep):
        key = sweep.cases[0].key
        assert store.claim("paper", key, 0, owner="me", lease_seconds=FOREVER)
        assert store.claim("paper", key, 0, owner="me", lease_seconds=-1), "the lease begins anew"
        assert store.claim("paper", key, 0, owner="you", lease_seconds=FOREVER)
        assert not store.claim("paper", key, 0, owner="me", lease_seconds=FOREVER)

    def test_what_is_done_is_claimed_no_more(self, store, sweep):
        run = sample_run(sweep)
        for attempt, state in enumerate(("invalid", "failed", "done")):
            assert store.claim("paper", run.case_key, 0, owner="me", lease_seconds=FOREVER)
            store.record(sample_run(sweep, attempt=attempt, state=state))
        assert not store.claim("paper", run.case_key, 0, owner="me", lease_seconds=FOREVER)
        assert store.claim("paper", run.case_key, 1, owner="you", lease_seconds=FOREVER)

    def test_threads_share_a_store(self, store, sweep):
        def work(owner):
            keys = [case.key for case in sweep.cases]
            for key, repeat in sweep.order:
                if store.claim("paper", key, repeat, owner=owner, lease_seconds=FOREVER):
                    store.record(sample_run(sweep, case=keys.index(key), repeat=repeat, coordinator=owner))

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, "abcd"))
        assert [(run.case_key, run.repeat) for run in store.runs("paper")] == list(sweep.order)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"seconds": math.nan}, "seconds cannot be kept: it is not a number"),
            ({"reason": "a\0b"}, "reason cannot be kept"),
            ({"coordinator": "\udce4"}, "coordinator cannot be kept"),
            ({"environment": {"load": math.nan}}, "environment cannot be kept as JSON"),
            ({"environment": {"load": object()}}, "environment cannot be kept as JSON"),
            ({"position": 2**63}, "position cannot be kept: 9223372036854775808 has more than 64 bits"),
        ],
    )
    def test_what_cannot_be_kept_is_refused_as_a_whole(self, store, sweep, changes, words):
        with pytest.raises(ResultStoreError, match=words):
            store.record(dataclasses.replace(sample_run(sweep), **changes))
        assert store.runs("paper") == ()

    def test_a_name_is_refused_where_it_is_too_long_or_empty(self, store):
        for name in ("", "x" * 201):
            with pytest.raises(ResultStoreError, match="1 to 200 signs"):
                store.add_sweep(sample_sweep(name))
        assert store.sweeps() == ()

    def test_another_process_finds_what_was_recorded(self, store, sweep, store_url):
        run = sample_run(sweep)
        store.record(run)
        with open_store(store_url, is_made=False) as other:
            assert other.sweep("paper") == sweep
            assert other.runs("paper", with_samples=True) == (run,)

    @given(st.data())
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_keeps_every_value_to_the_last_bit(self, store, data):
        sweep, runs = data.draw(measured_sweeps())
        if sweep.name in store.sweeps():
            return
        store.add_sweep(sweep)
        for run in runs:
            store.record(run)
        assert bits(store.sweep(sweep.name)) == bits(sweep)
        assert bits(store.runs(sweep.name, with_samples=True)) == bits(runs)
