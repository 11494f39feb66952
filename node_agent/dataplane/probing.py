"""Timing a link by the data plane itself."""

import os
import queue
import random
import time
from dataclasses import replace
from functools import lru_cache
from typing import Self

from node_agent.config import TlsFiles
from node_agent.dataplane.plane import open_sender
from node_agent.errors import NodeUnreachableError
from node_agent.messages import Frame, LinkEmulation, ProbeFrame, ProbeRequest, ProbeSample

REST_SECONDS = (0.001, 0.005)
"""Before a lone message, drawn anew: a lone request, too, finds threads asleep. Back to back, it takes 0.1 ms less."""
_ANSWER_SECONDS = 60.0
_N_KEPT = 2
"""Payloads that a prober keeps to send again: drawing megabytes anew takes longer than sending them."""


def probe(request: ProbeRequest, tls: TlsFiles | None = None) -> tuple[ProbeSample, ...]:
    """Times messages to `request.target_address` and their answers, one of both empty.

    The sizes come in a new order in each round. Of several messages only the last is waited for, so that they keep the
    link busy; a lone one comes after a rest.

    Raises:
        NodeUnreachableError: The node does not answer.
    """
    draw = random.Random(0)  # noqa: S311 - an order and rests, not secrets
    samples = []
    with Prober(
        request.target_address, request.plane, link=request.link, link_back=request.link_back, tls=tls
    ) as prober:
        for _ in range(request.n_rounds):
            for n_bytes in draw.sample(request.sizes_bytes, len(request.sizes_bytes)):
                if request.n_messages == 1:
                    time.sleep(draw.uniform(*REST_SECONDS))
                timed = prober.download if request.is_download else prober.upload
                seconds = timed(n_bytes, request.n_messages)
                samples.append(ProbeSample(n_bytes=n_bytes, round_trip_seconds=seconds, n_messages=request.n_messages))
    return tuple(samples)


class Prober:
    """A stream to a node that answers probes. One thread uses it.

    One empty message goes ahead untimed, so that none pays for the connection. Timing raises `NodeUnreachableError`
    where the node does not answer.
    """

    def __init__(
        self,
        address: str,
        plane: str,
        *,
        link: LinkEmulation | None = None,
        link_back: LinkEmulation | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        """Connects; `link` and `link_back` are emulated by the two ends.

        Raises:
            NodeUnreachableError: There is no node.
        """
        self._link_back = link_back
        self._answers: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._n_sent = 0
        self._payload = lru_cache(_N_KEPT)(os.urandom)
        self._sender = open_sender(plane, address, link=link, tls=tls, on_answer=self._answers.put)
        self._sender.failure.listen(lambda _: self._answers.put(None))
        try:
            self.round_trip(0, 0)
        except BaseException:
            self._sender.close()
            raise

    def upload(self, n_bytes: int, n_messages: int) -> float:
        """Seconds until the last of several messages is answered, with nothing in the answer."""
        silent = self._frame(self._payload(n_bytes), n_answers=0)
        return self._time([*[silent] * (n_messages - 1), replace(silent, n_answers=1)], n_bytes)

    def download(self, n_bytes: int, n_messages: int) -> float:
        """Seconds from an empty message until the last of several answers."""
        return self._time([self._frame(b"", answer_bytes=n_bytes, n_answers=n_messages)], n_bytes)

    def round_trip(self, n_bytes: int, answer_bytes: int) -> float:
        """Seconds from a message until its answer."""
        return self._time([self._frame(self._payload(n_bytes), answer_bytes=answer_bytes)], n_bytes + answer_bytes)

    def _frame(self, payload: bytes, *, answer_bytes: int = 0, n_answers: int = 1) -> ProbeFrame:
        self._n_sent += 1
        return ProbeFrame(
            request=self._n_sent,
            payload=payload,
            link_back=self._link_back,
            answer_bytes=answer_bytes,
            n_answers=n_answers,
        )

    def _time(self, frames: list[ProbeFrame], n_bytes: int) -> float:
        started = time.perf_counter()
        for frame in frames:
            self._sender.send(frame)
        for _ in range(frames[-1].n_answers):
            self._await_answer(n_bytes)
        return time.perf_counter() - started

    def _await_answer(self, n_bytes: int) -> None:
        try:
            answer = self._answers.get(timeout=_ANSWER_SECONDS)
        except queue.Empty as exc:
            raise NodeUnreachableError(
                f"The node at {self._sender.address} did not answer a message of {n_bytes} bytes in "
                f"{_ANSWER_SECONDS:g} s."
            ) from exc
        if answer is None:
            self._sender.failure.check()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the stream."""
        self._sender.close()
