import math

import pytest

from coordinator.measurement import Estimate, WindowStep
from coordinator.window import MAX_STEPS, MAX_WINDOW, WindowWish, best_step, parse_window, tune_window, window_words
from partitioner.errors import ChoiceError


def step(window, rate, latency=0.0):
    return WindowStep(
        window=window, throughput_per_second=Estimate(value=rate, low=rate, high=rate), latency_seconds=latency
    )


class Machine:
    """A pipeline of a latency and a bottleneck, with some loss where its times vary; by Little's law."""

    def __init__(self, latency=0.1, bottleneck=0.02, loss=lambda window: 0.0):
        self.latency, self.bottleneck, self.loss = latency, bottleneck, loss
        self.tried = []

    def measure(self, window):
        self.tried.append(window)
        rate = min(window / self.latency, 1 / self.bottleneck) * (1 - self.loss(window))
        return step(window, rate, window / rate)


def tuned(machine, start, bound=math.inf):
    steps = tune_window(machine.measure, start, bound)
    assert [found.window for found in steps] == machine.tried
    return best_step(steps, bound).window


def test_a_start_that_is_enough_is_left_after_one_try_more():
    machine = Machine()
    assert tuned(machine, 6) == 6
    assert machine.tried == [6, 7]


def test_it_rises_while_variable_times_leave_something_to_gain():
    machine = Machine(loss=lambda window: 0.5 ** (window - 3))
    assert tuned(machine, 6) == 10
    assert machine.tried == [6, 7, 8, 10, 12]


def test_it_rises_in_larger_steps_over_long_links():
    machine = Machine(latency=1.0, bottleneck=0.01)
    assert tuned(machine, 40) == 120
    assert machine.tried == [40, 50, 62, 77, 96, 120, 150]


def test_one_step_that_gains_less_than_two_percent_is_the_last():
    machine = Machine(loss=lambda window: 0.019 if window == 4 else 0.0, latency=0.06)
    assert tuned(machine, 4) == 4


def test_the_latency_bound_stops_the_rise():
    machine = Machine(latency=0.1, bottleneck=0.001)
    assert tuned(machine, 8, bound=0.1000001) > 8
    slow = Machine(latency=0.1, bottleneck=0.02, loss=lambda window: 0.5 ** (window - 3))
    assert tuned(slow, 6, bound=0.15) == 7
    assert slow.tried == [6, 7, 8]


def test_a_start_that_takes_too_long_comes_down_until_it_does_not():
    machine = Machine()
    assert tuned(machine, 8, bound=0.11) == 5
    assert machine.tried == [8, 6, 5]


def test_a_bound_that_no_window_keeps_leaves_one_request_in_flight():
    machine = Machine()
    assert tuned(machine, 3, bound=0.01) == 1
    assert machine.tried == [3, 2, 1]


def test_no_wider_window_is_tried_once_the_time_is_up():
    machine = Machine(latency=1.0, bottleneck=0.01)
    steps = tune_window(machine.measure, 40, math.inf, is_time_left=lambda: len(machine.tried) < 3)
    assert [found.window for found in steps] == [40, 50, 62]


def test_a_window_that_keeps_the_bound_is_looked_for_however_long_it_takes():
    steps = tune_window(Machine().measure, 8, 0.11, is_time_left=lambda: False)
    assert [found.window for found in steps] == [8, 6, 5]


def test_tuning_ends_whatever_is_measured():
    rates = iter(range(1, 1000))
    steps = tune_window(lambda window: step(window, float(next(rates) ** 2)), 1, math.inf)
    assert len(steps) == MAX_STEPS
    steps = tune_window(lambda window: step(window, float(window)), 10 * MAX_WINDOW, math.inf)
    assert [found.window for found in steps] == [MAX_WINDOW]


def test_the_narrowest_of_windows_that_are_alike_is_taken():
    steps = [step(6, 50.0), step(7, 52.0), step(8, 52.5)]
    assert best_step(steps, math.inf).window == 7


def test_wishes_in_words():
    assert parse_window("8") == WindowWish(n_requests=8)
    assert parse_window("auto").is_tuned
    assert parse_window("auto<=200ms") == WindowWish(latency_bound_seconds=0.2)
    for text in ("", "0", "-1", "513", "auto<=", "auto<=0ms", "auto>=5ms", "auto<=5MB", "wide"):
        with pytest.raises(ChoiceError, match="cannot be read"):
            parse_window(text)


def test_what_was_tried_is_told():
    steps = [step(6, 50.0, 0.12), step(7, 50.1, 0.14)]
    assert window_words(steps, 6) == "Window 6 of 6, 7 tried: 50 /s at 120 ms."
