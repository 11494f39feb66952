"""Streams that were open before the certificate of their other end was revoked."""

import contextlib
import logging
import socket
import threading
from itertools import repeat
from queue import SimpleQueue

import numpy as np
import pytest
from node_planes import receiving
from node_processes import running_agent
from scarce_threads import no_threads_left
from tls_ends import Ends

from node_agent.channel_options import open_channel
from node_agent.dataplane.frame import encode
from node_agent.dataplane.grpc_link import SERVICE
from node_agent.dataplane.plane import open_sender, subscribe
from node_agent.dataplane.planes import GRPC, PLANES, TCP
from node_agent.dataplane.tcp.records import RECORD, Record, Wanted, preamble
from node_agent.errors import PeerRefusedError
from node_agent.messages import ProbeFrame, SubscribeFrame, TensorFrame
from node_agent.tls.contexts import client_context
from node_agent.tls.open_streams import OpenStream, OpenStreams

BIG_PROBE = ProbeFrame(request=1, payload=b"", answer_bytes=1 << 20, n_answers=60)


def frame(number):
    return TensorFrame(deployment="d", epoch=1, request=number, stage=0, tensors=(("x", np.full(10, number)),))


@pytest.fixture
def ends(tmp_path):
    return Ends(tmp_path)


@pytest.fixture
def node(ends):
    return ends.node()


@pytest.fixture
def revoke(ends, node):
    """Revokes, and hands the list to the node."""

    def done(name):
        ends.revoke(name)
        ends.hand_list(node)

    return done


@pytest.fixture(params=PLANES)
def receiver(request, tmp_path, node):
    with receiving(request.param, tmp_path / "store", node_tls=node) as opened:
        opened.stages.add("d")
        yield opened


def failure_of(sender):
    heard = SimpleQueue()
    sender.failure.listen(heard.put)
    return heard.get(timeout=20)


@pytest.mark.parametrize("plane", PLANES)
def test_a_stream_of_an_agent_ends_and_that_of_another_peer_goes_on(tmp_path, ends, node, revoke, plane):
    with (
        running_agent(tmp_path / "agent", "--pki", str(node.certificate.parent)) as agent,
        contextlib.closing(open_sender(plane, agent.at(plane), tls=ends.node("bad"))) as bad,
    ):
        answers = SimpleQueue()
        good = open_sender(plane, agent.at(plane), tls=ends.node("good"), on_answer=answers.put)
        with contextlib.closing(good):
            revoke("bad")
            error = failure_of(bad)
            assert isinstance(error, PeerRefusedError)
            assert "Push is refused to the node 'bad' of cluster 'lab': its certificate" in str(error)
            assert "was revoked" in str(error)
            with pytest.raises(PeerRefusedError):
                bad.send(frame(1))
            good.send(ProbeFrame(request=7, payload=b""))
            assert answers.get(timeout=10).request == 7
        logged = agent.log.read_text()
    assert "an open stream was ended" in logged
    assert "'bad' of cluster 'lab': its certificate" in logged
    assert "'good'" not in logged


def test_results_end_with_the_reason_and_go_to_the_next_subscriber(receiver, ends, revoke, caplog):
    wish = SubscribeFrame(deployment="d", epoch=1)
    outbox = receiver.stages.named["d"].outbox
    bad = subscribe(receiver.plane, receiver.address, wish, tls=ends.coordinator("bad"))
    outbox.send_bytes(encode(frame(1)))
    assert next(bad).request == 1
    revoke("bad")
    with pytest.raises(PeerRefusedError, match=r"Results is refused to the coordinator 'bad'.* was revoked"):
        next(bad)
    bad.close()
    good = subscribe(receiver.plane, receiver.address, wish, tls=ends.coordinator("good"))
    outbox.send_bytes(encode(frame(2)))
    assert next(good).request == 2
    good.close()
    (entry,) = [entry for entry in caplog.records if entry.message == "an open stream was ended"]
    assert (entry.levelno, "was revoked" in entry.reason) == (logging.WARNING, True)


def test_each_new_list_counts(receiver, ends, revoke):
    good, first, second = (
        open_sender(receiver.plane, receiver.address, tls=ends.node(name)) for name in ("good", "first", "second")
    )
    for name, sender in (("first", first), ("second", second)):
        revoke(name)
        assert f"the node '{name}'" in str(failure_of(sender))
        good.send(frame(3))
        assert receiver.stages.named["d"].take().request == 3
    for sender in (good, first, second):
        sender.close()


@pytest.mark.parametrize("receiver", [TCP], indirect=True)
def test_who_goes_on_sending_over_tcp_is_not_heard(receiver, ends, revoke):
    message = encode(frame(1)).joined()
    record = RECORD.pack(Record.MESSAGE, len(message)) + message
    host, port = receiver.address.split(":")
    plain = socket.create_connection((host, int(port)), timeout=10)
    with client_context(ends.node("bad")).wrap_socket(plain, server_hostname=host) as bad:
        bad.sendall(preamble(Wanted.PUSH) + record)
        receiver.stages.named["d"].take()
        revoke("bad")
        with pytest.raises(OSError):  # noqa: PT011 - whatever it says, the node has closed
            push_for_ever(bad, record * 100)


def test_streams_are_looked_after_once_there_are_threads_again():
    newest, refused = [object()], SimpleQueue()

    def check():
        if newest[0] is None:
            raise PeerRefusedError("It was revoked.")

    streams, stream = OpenStreams(lambda: newest[0]), OpenStream(check=check, end=refused.put)
    with no_threads_left(), pytest.raises(RuntimeError), streams.holding(stream):
        pass
    with streams.holding(stream), no_threads_left():
        newest[0] = None
        assert isinstance(refused.get(timeout=10), PeerRefusedError)


def push_for_ever(connected, content):
    while True:
        connected.sendall(content)


@pytest.mark.parametrize("receiver", [GRPC], indirect=True)
def test_who_takes_nothing_over_grpc_is_cut_off(receiver, ends, revoke):
    channel = open_channel(receiver.address, ends.node("bad"))
    probes = repeat(encode(BIG_PROBE).joined())
    call = channel.stream_stream(f"/{SERVICE}/Push", None, None)(probes)
    assert call.initial_metadata()
    (watching,) = (thread for thread in threading.enumerate() if thread.name == "open streams")
    revoke("bad")
    watching.join(10)
    assert not watching.is_alive(), "its last stream has not left"
    channel.close()
