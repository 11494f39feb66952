"""A whole sweep: prepared, begun or taken up, and measured."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from coordinator.config.quantities import span_text
from coordinator.config.sweep_file import SweepFile
from coordinator.opening import OnLane, Progress
from coordinator.profile_cache import ProfileCache, default_cache_file
from coordinator.results.ports import OpenStore, ResultStore
from coordinator.sweep.beginning import Begun, begin, known_sweep
from coordinator.sweep.expected import expected_seconds
from coordinator.sweep.folder import SweepFolder
from coordinator.sweep.preparing import Preparation, check_file
from coordinator.sweep.rig import Rig
from coordinator.sweep.runner import Outcome, Runner, Stand
from coordinator.sweep.study import Study
from coordinator.sweep.trying import Tries


class Listener(Progress, Protocol):
    """Where progress is shown, and lines are said."""

    def say(self, text: str) -> None:
        """A line for people."""
        ...


@dataclass(frozen=True, kw_only=True)
class Session:
    """A sweep that is ready to be measured, or predicted."""

    file: SweepFile
    studies: tuple[Study, ...]
    begun: Begun
    store: ResultStore
    rig: Rig
    owner: str
    """Under whose name runs are claimed."""

    @property
    def expected_seconds(self) -> dict[str, float]:
        """For a run of each case, by its key."""
        return dict(expected_seconds(self.file.config, self.studies, self.begun.sweep.cases))

    def measure(self, listener: Listener) -> Outcome:
        """Measures what is left.

        Raises:
            NodeDownError: Nodes cannot be started or reached.
            ResultStoreError: The store cannot be read or written.
        """
        with listener.progress(f"Measuring {self.begun.sweep.name}") as on_lane:
            sweep_lane = _Lane(on_lane)
            tries = Tries(
                self.file.config,
                self.studies,
                self.rig,
                lambda what, n_done, n_total: on_lane("run", n_done, n_total, what),
            )
            return Runner(
                self.begun.sweep,
                self.file.config,
                self.store,
                owner=self.owner,
                measure=tries,
                expected_seconds=self.expected_seconds,
                on_stand=sweep_lane,
            ).run()


class _Lane:
    """Shows how far a sweep is."""

    def __init__(self, on_lane: OnLane) -> None:
        self._on_lane = on_lane

    def __call__(self, stand: Stand) -> None:
        what = f"about {span_text(stand.left_seconds)} left; {stand.doing}" if stand.n_left else stand.doing
        self._on_lane("sweep", stand.n_done, stand.n_done + stand.n_left, what)


@contextmanager
def open_session(
    file: SweepFile, folder: Path, listener: Listener, *, open_store: OpenStore, store_url: str | None = None
) -> Iterator[Session]:
    """Prepares a sweep in a folder, or takes it up, for as long as the context lasts.

    Args:
        file: What is asked for.
        folder: Of the sweep; made where it is not there.
        listener: Told what goes on.
        open_store: Opens stores of results.
        store_url: Where results go; to a file in the folder where None.

    Raises:
        ConditionError: A condition cannot be had; nothing was started, or measured.
        SweepConflictError: The store has another sweep of this name.
        CoordinatorError: As the steps raise them.
    """
    check_file(file)
    place = SweepFolder(folder)
    with place.locked() as owner, closing(open_store(store_url or str(place.results))) as store:
        known_sweep(file, store)
        with Rig(file, place, listener) as rig, ProfileCache(default_cache_file(), listener.say) as cache:
            studies = Preparation(file=file, folder=place, rig=rig, progress=listener, cache=cache).studies()
            begun = begin(file, studies, store)
            yield Session(file=file, studies=studies, begun=begun, store=store, rig=rig, owner=owner)


def describe(file: SweepFile, studies: Sequence[Study], begun: Begun) -> str:
    """What a prepared sweep comes to, in lines."""
    config, sweep = file.config, begun.sweep
    seconds = expected_seconds(config, studies, sweep.cases)
    once = sum(seconds[case.key] for case in sweep.cases)
    ends = sorted({config.repeats.least, config.repeats.most})
    times, spans = (" to ".join(map(text, ends)) for text in (str, lambda n: span_text(once * n)))
    return "\n".join(
        [
            f"{len(sweep.cases)} cases, each {times} times: about {spans}.",
            *(f"Left out: {reason}" for reason in begun.left_out),
        ]
    )
