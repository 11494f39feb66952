"""Timing a link by the data plane itself."""

import os
import queue
import random
import time

from node_agent.config import TlsFiles
from node_agent.dataplane.grpc_link import FrameSender
from node_agent.errors import NodeUnreachableError
from node_agent.messages import Frame, ProbeFrame, ProbeRequest, ProbeSample

_ANSWER_SECONDS = 60.0


def probe(request: ProbeRequest, tls: TlsFiles | None = None) -> tuple[ProbeSample, ...]:
    """Times messages to `request.target_address` and their answers, one of both empty.

    The sizes come in a new order in each round.

    One message of the smallest size goes ahead untimed, so that no sample pays for the connection.

    Raises:
        NodeUnreachableError: The node does not answer.
    """
    answers: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    sender = FrameSender(request.target_address, link=request.link, tls=tls, on_answer=answers.put)
    sender.failure.listen(lambda _: answers.put(None))
    try:
        _round_trip(sender, answers, request, min(request.sizes_bytes), 0)
        return tuple(
            ProbeSample(n_bytes=n_bytes, round_trip_seconds=_round_trip(sender, answers, request, n_bytes, number))
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
    there, back = (0, n_bytes) if request.is_download else (n_bytes, 0)
    probe_frame = ProbeFrame(request=number, payload=os.urandom(there), link_back=request.link_back, answer_bytes=back)
    started = time.perf_counter()
    sender.send(probe_frame)
    try:
        answer = answers.get(timeout=_ANSWER_SECONDS)
    except queue.Empty as exc:
        raise NodeUnreachableError(
            f"The node at {sender.address} did not answer a message of {n_bytes} bytes in {_ANSWER_SECONDS:g} s."
        ) from exc
    if answer is None:
        sender.failure.check()
    return time.perf_counter() - started
