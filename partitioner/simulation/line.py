"""Parts of a pipeline in simulated time. Requests are numbers, and keep their order everywhere.

    source → link station → pipe → queue → stage station → queue → link station → pipe → … → sink

A station is a thread of a node: it takes a request from its queue, waits for its resource (a device, or a medium),
holds that for the request's time, and hands the request on, waiting where the next part is full. While it waits for
room it holds the request, not the resource. A pipe is the way between the end of sending and arrival, or the rest of a
stage in which its device already serves the next request.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from partitioner.simulation.events import Action, Clock, Count
from partitioner.simulation.resource import Resource


class Taker(Protocol):
    """What requests are handed to."""

    def has_room(self) -> bool:
        """Whether it would take a request now."""

    def put(self, request: int) -> None:
        """Takes a request; only while it has room."""

    def when_room(self, action: Action) -> None:
        """Remembers what to call each time that there is room again."""


class Queue:
    """Requests that wait before a station; at most `limit` of them."""

    def __init__(self, name: str, clock: Clock, limit: float) -> None:
        self.name = name
        self.length = Count(clock)
        self._limit = limit
        self._requests: deque[int] = deque()
        self._on_room: Action | None = None
        self._on_request: Action | None = None

    def __len__(self) -> int:
        return len(self._requests)

    def has_room(self) -> bool:
        """Whether fewer than the limit wait."""
        return len(self._requests) < self._limit

    def put(self, request: int) -> None:
        """Appends a request and wakes the station."""
        self._requests.append(request)
        self.length.add(1)
        if self._on_request is not None:
            self._on_request()

    @property
    def oldest(self) -> int:
        """The request that is taken next."""
        return self._requests[0]

    def take(self) -> int:
        """The oldest request; the station marks itself busy before, since this may wake it."""
        request = self._requests.popleft()
        self.length.add(-1)
        if self._on_room is not None:
            self._on_room()
        return request

    def when_room(self, action: Action) -> None:
        """See `Taker`."""
        self._on_room = action

    def when_request(self, action: Action) -> None:
        """Remembers the station."""
        self._on_request = action


class Station:
    """A stage that computes, or a link that sends: one request at a time, or one on each of several that take turns.

    Request i goes to resource i modulo their number. Requests are handed on in order, and each keeps its place until it
    is handed on and its resource is free again.
    """

    def __init__(
        self,
        source: Queue,
        resources: Sequence[Resource],
        seconds: Sequence[float],
        target: Taker,
        *,
        ready: Sequence[float] | None = None,
    ) -> None:
        """A station of which request i takes `seconds[i]` of its resource.

        It may be handed on `ready[i]` after its resource began with it, which is no later; None: when it was served.
        """
        self._source = source
        self._resources = resources
        self._seconds = seconds
        self._ready = ready
        self._target = target
        self._n_idle = len(resources)
        self._is_done: dict[int, bool] = {}
        """Requests that are held, the oldest first, and whether they only wait to be handed on."""
        self._half_free: set[int] = set()
        """Requests that were handed on early and still keep their resource, or the other way round."""
        source.when_request(self._begin)
        target.when_room(self._hand_on)

    def _begin(self) -> None:
        while len(self._source) and self._n_idle:
            self._n_idle -= 1
            self._is_done[self._source.oldest] = False
            request = self._source.take()
            resource = self._resources[request % len(self._resources)]
            if self._ready is None:
                resource.serve(self._seconds[request], partial(self._finish, request))
            else:
                on_done, on_ready = partial(self._free, request), partial(self._finish, request)
                resource.serve(self._seconds[request], on_done, self._ready[request], on_ready)

    def _finish(self, request: int) -> None:
        self._is_done[request] = True
        self._hand_on()

    def _hand_on(self) -> None:
        while self._is_done and self._target.has_room():
            request, is_done = next(iter(self._is_done.items()))
            if not is_done:
                return
            del self._is_done[request]
            self._target.put(request)
            self._free(request)

    def _free(self, request: int) -> None:
        """Gives the place of a request to another, once it was handed on and its resource is free."""
        if self._ready is not None and request not in self._half_free:
            self._half_free.add(request)
            return
        self._half_free.discard(request)
        self._n_idle += 1
        self._begin()


class Pipe:
    """Delay of a link: all that is on its way moves at once, nothing overtakes, at most `limit` are inside.

    What arrives at a full queue stays inside; so a stage that cannot follow slows the sender, as flow control does.
    """

    def __init__(self, clock: Clock, delays: Sequence[float], limit: float, target: Taker) -> None:
        """A pipe that delays request i by `delays[i]` seconds."""
        self._clock = clock
        self._delays = delays
        self._limit = limit
        self._target = target
        self._inside: deque[int] = deque()
        self._n_arrived = 0
        self._last_arrival = 0.0
        self._on_room: Action | None = None
        target.when_room(self._deliver)

    def has_room(self) -> bool:
        """Whether another request may be on its way."""
        return len(self._inside) < self._limit

    def put(self, request: int) -> None:
        """Sends a request on its way."""
        self._inside.append(request)
        self._last_arrival = max(self._last_arrival, self._clock.now + self._delays[request])
        self._clock.at(self._last_arrival, self._arrive)

    def when_room(self, action: Action) -> None:
        """See `Taker`."""
        self._on_room = action

    def _arrive(self) -> None:
        self._n_arrived += 1
        self._deliver()

    def _deliver(self) -> None:
        while self._n_arrived and self._target.has_room():
            self._n_arrived -= 1
            self._target.put(self._inside.popleft())
            if self._on_room is not None:
                self._on_room()


class Sink:
    """The client's end: takes every result at once."""

    def __init__(self, on_result: Callable[[int], None]) -> None:
        """A sink that calls `on_result` for each request."""
        self._on_result = on_result

    def has_room(self) -> bool:
        """Always."""
        return True

    def put(self, request: int) -> None:
        """Takes a result."""
        self._on_result(request)

    def when_room(self, action: Action) -> None:
        """Never called: there always is room."""
