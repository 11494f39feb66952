"""How many requests in flight: decided from rates and latencies measured at some windows. Pure.

A window of ⌈latency / bottleneck⌉ would keep the bottleneck busy if times were constant; they vary, so that more helps,
until it only lengthens queues. Tuning begins one above that and goes up by a quarter at a time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coordinator.measurement import WindowStep
from partitioner.bounds import read_bound, seconds_text
from partitioner.errors import ChoiceError

LEAST_GAIN = 1.02
"""A wider window must bring so many times the throughput."""
MAX_STEPS = 12
MAX_WINDOW = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowWish:
    """What window is wished for."""

    n_requests: int | None = None
    """In flight at most; None: tuned."""
    latency_bound_seconds: float = math.inf
    """Most that the median request may take while the window is full; only where it is tuned."""

    @property
    def is_tuned(self) -> bool:
        """Whether it is to be found."""
        return self.n_requests is None


def parse_window(text: str) -> WindowWish:
    """The wish of `8`, `auto` or `auto<=200ms`.

    Raises:
        ChoiceError: It says none.
    """
    words = text.strip()
    if words.isdecimal() and 1 <= int(words) <= MAX_WINDOW:
        return WindowWish(n_requests=int(words))
    if words == "auto":
        return WindowWish()
    if words.startswith("auto<="):
        bound = read_bound("latency" + words.removeprefix("auto"))
        if bound is not None and bound.figure > 0:
            return WindowWish(latency_bound_seconds=bound.figure)
    raise ChoiceError(f"Window {text!r} cannot be read: want 1 to {MAX_WINDOW}, auto, or such as auto<=200ms.")


def tune_window(
    measure: Callable[[int], WindowStep],
    start: int,
    latency_bound_seconds: float,
    *,
    is_time_left: Callable[[], bool] = lambda: True,
) -> tuple[WindowStep, ...]:
    """All windows tried, in order, `start` first.

    Args:
        measure: Runs at a window.
        start: ⌈latency / bottleneck⌉ + 1; see `partitioner.cost.suggested_window`.
        latency_bound_seconds: Most that the median request may take.
        is_time_left: Whether a wider window may be tried; a narrower one, to keep the bound, is in any case.
    """
    steps = [measure(min(start, MAX_WINDOW))]
    while (window := next_window(steps, latency_bound_seconds)) is not None:
        if window > steps[-1].window and not is_time_left():
            break
        steps.append(measure(window))
    return tuple(steps)


def next_window(steps: Sequence[WindowStep], latency_bound_seconds: float) -> int | None:
    """The window to try after `steps`; None where nothing is to be gained.

    Upwards while throughput gains; downwards only from a start that takes too long, until one does not.
    """
    *earlier, last = steps
    if len(steps) >= MAX_STEPS:
        return None
    if last.latency_seconds > latency_bound_seconds:
        is_start_too_wide = all(step.latency_seconds > latency_bound_seconds for step in earlier)
        return last.window - _stride(last.window) if is_start_too_wide and last.window > 1 else None
    has_come_down = any(step.window > last.window for step in earlier)
    has_gained = all(last.throughput_per_second.value >= LEAST_GAIN * _rate(step) for step in earlier)
    if has_come_down or not has_gained or last.window >= MAX_WINDOW:
        return None
    return min(last.window + _stride(last.window), MAX_WINDOW)


def _stride(window: int) -> int:
    return max(1, window // 4)


def _rate(step: WindowStep) -> float:
    return step.throughput_per_second.value


def best_step(steps: Sequence[WindowStep], latency_bound_seconds: float) -> WindowStep:
    """The narrowest window that gives the best throughput, but for a gain too small to count.

    Where none keeps the bound, the narrowest.
    """
    kept = [step for step in steps if step.latency_seconds <= latency_bound_seconds]
    if not kept:
        return min(steps, key=lambda step: step.window)
    best = max(map(_rate, kept))
    return min((step for step in kept if LEAST_GAIN * _rate(step) >= best), key=lambda step: step.window)


def window_words(steps: Sequence[WindowStep], chosen: int) -> str:
    """One sentence: `Window 5 of 4, 5, 6 tried: 61.2 /s at 81.3 ms.`."""
    tried = ", ".join(str(step.window) for step in steps)
    step = next(step for step in steps if step.window == chosen)
    return f"Window {chosen} of {tried} tried: {_rate(step):.4g} /s at {seconds_text(step.latency_seconds)}."
