"""Timing a link by the data plane itself."""

import os
import queue
import random
import time
from dataclasses import replace

from node_agent.config import TlsFiles
from node_agent.dataplane.plane import open_sender
from node_agent.dataplane.sender import FrameSender
from node_agent.errors import NodeUnreachableError
from node_agent.messages import Frame, ProbeFrame, ProbeRequest, ProbeSample

_ANSWER_SECONDS = 60.0


def probe(request: ProbeRequest, tls: TlsFiles | None = None) -> tuple[ProbeSample, ...]:
    """Times messages to `request.target_address` and their answers, one of both empty.

    The sizes come in a new order in each round. Of several messages only the last is waited for, so that they keep the
    link busy.

    One message of the smallest size goes ahead untimed, so that no sample pays for the connection.

    Raises:
        NodeUnreachableError: The node does not answer.
    """
    answers: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    sender = open_sender(request.plane, request.target_address, link=request.link, tls=tls, on_answer=answers.put)
    sender.failure.listen(lambda _: answers.put(None))
    try:
        _round_trip(sender, answers, request, min(request.sizes_bytes), 0)
        return tuple(
            ProbeSample(
                n_bytes=n_bytes,
                round_trip_seconds=_round_trip(sender, answers, request, n_bytes, number),
                n_messages=request.n_messages,
            )
            for number, n_bytes in enumerate(_sizes_in_order(request), start=1)
        )
    finally:
        sender.close()


def _sizes_in_order(request: ProbeRequest) -> list[int]:
    draw = random.Random(0)  # noqa: S311 - an order, not a secret
    return [
        n_bytes
        for _ in range(request.n_rounds)
        for n_bytes in draw.sample(request.sizes_bytes, len(request.sizes_bytes))
    ]


def _round_trip(
    sender: FrameSender, answers: "queue.SimpleQueue[Frame | None]", request: ProbeRequest, n_bytes: int, number: int
) -> float:
    frames = _frames(request, n_bytes, number)
    started = time.perf_counter()
    for frame in frames:
        sender.send(frame)
    for _ in range(frames[-1].n_answers):
        _await_answer(sender, answers, n_bytes)
    return time.perf_counter() - started


def _frames(request: ProbeRequest, n_bytes: int, number: int) -> list[ProbeFrame]:
    """Those of one sample: many with one answer to the last, or one with many answers."""
    if request.is_download:
        return [
            ProbeFrame(
                request=number,
                payload=b"",
                link_back=request.link_back,
                answer_bytes=n_bytes,
                n_answers=request.n_messages,
            )
        ]
    silent = ProbeFrame(request=number, payload=os.urandom(n_bytes), link_back=request.link_back, n_answers=0)
    return [*[silent] * (request.n_messages - 1), replace(silent, n_answers=1)]


def _await_answer(sender: FrameSender, answers: "queue.SimpleQueue[Frame | None]", n_bytes: int) -> None:
    try:
        answer = answers.get(timeout=_ANSWER_SECONDS)
    except queue.Empty as exc:
        raise NodeUnreachableError(
            f"The node at {sender.address} did not answer a message of {n_bytes} bytes in {_ANSWER_SECONDS:g} s."
        ) from exc
    if answer is None:
        sender.failure.check()
