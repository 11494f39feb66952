"""What only the plane `tcp` has: bytes of its own on bare sockets, heartbeats, deadlines."""

import contextlib
import select
import socket
import struct
import threading
import time
import tracemalloc

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_planes import receiving
from scarce_threads import no_threads_left

from node_agent.dataplane.frame import decode, encode
from node_agent.dataplane.planes import TCP
from node_agent.dataplane.sender import FrameSender
from node_agent.dataplane.tcp.connection import Connection
from node_agent.dataplane.tcp.dialing import TcpStream
from node_agent.dataplane.tcp.link import TcpLink
from node_agent.dataplane.tcp.pulse import Pulse
from node_agent.dataplane.tcp.records import MAGIC, RECORD, VERSION, Record, Wanted, preamble, read_error
from node_agent.dataplane.tcp.sockets import PlainTransport, limit_unacknowledged, prepare
from node_agent.errors import FrameError, NodeUnreachableError, ProtocolMismatchError, RequestRejectedError
from node_agent.messages import SubscribeFrame, TensorFrame

LIMIT = 1 << 20
PUSH, RESULTS = preamble(Wanted.PUSH), preamble(Wanted.RESULTS)
ACCEPTED = RECORD.pack(Record.ACCEPTED, 0)


def frame(number=1, n_values=10):
    return TensorFrame(
        deployment="d", epoch=1, request=number, stage=0, tensors=(("x", np.full(n_values, number, np.int32)),)
    )


def record(content, kind=Record.MESSAGE):
    return RECORD.pack(kind, len(content)) + content


MESSAGE = record(encode(frame()).joined())


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    with receiving(TCP, tmp_path_factory.mktemp("tcp"), max_message_bytes=LIMIT, opening_seconds=0.6) as opened:
        opened.stages.add("d")
        yield opened


@contextlib.contextmanager
def dialed(receiver, *said):
    host, port = receiver.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connected:
        for piece in said:
            connected.sendall(piece)
        yield connected


def all_of(connected):
    """What the other end says until it ends, but for heartbeats."""
    said, kept = b"", b""
    with contextlib.suppress(ConnectionResetError):
        while more := connected.recv(1 << 16):
            said += more
    while said:
        kind, n_bytes = RECORD.unpack_from(said)
        kept += b"" if kind == Record.HEARTBEAT else said[: RECORD.size + n_bytes]
        said = said[RECORD.size + n_bytes :]
    return kept


def take(connected, n_bytes):
    """So many bytes."""
    said = b""
    while len(said) < n_bytes:
        said += connected.recv(n_bytes - len(said))
    return said


def error_in(said):
    kind, n_bytes = RECORD.unpack_from(said)
    assert kind == Record.ERROR
    assert len(said) == RECORD.size + n_bytes
    return read_error(memoryview(said)[RECORD.size :])


def assert_serves(receiver):
    sender = receiver.sender()
    sender.send(frame(7))
    assert receiver.stages.named["d"].take().request == 7
    sender.close()


class TestOpening:
    @pytest.mark.parametrize("said", [b"", PUSH[:7], RESULTS, RESULTS + MESSAGE[:9]])
    def test_who_does_not_finish_its_opening_is_dropped(self, receiver, said):
        with dialed(receiver, said) as connected:
            assert b"in time" in all_of(connected) or not said
        assert_serves(receiver)

    def test_a_drop_now_and_then_does_not_lengthen_the_deadline(self, receiver):
        started = time.monotonic()
        with dialed(receiver) as connected, contextlib.suppress(OSError):
            for byte in PUSH[:7] + bytes(100):
                connected.sendall(bytes((byte,)))
                if connected.recv(1, socket.MSG_DONTWAIT) == b"":
                    break
                time.sleep(0.1)
        assert time.monotonic() - started < 8
        assert_serves(receiver)

    @pytest.mark.parametrize(
        ("said", "kind", "words"),
        [
            (b"GET / HTTP/1.1\r\n\r\n", FrameError, "no preamble"),
            (MAGIC + bytes((VERSION + 1, 1, 0, 0)), ProtocolMismatchError, "version 2"),
            (MAGIC + bytes((VERSION, 9, 0, 0)), FrameError, "kind 9"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01", NodeUnreachableError, "speaks in clear, and was spoken to under TLS"),
            (RESULTS + record(b"nothing"), FrameError, "no frame"),
            (RESULTS + MESSAGE, FrameError, "must be a subscription"),
            (RESULTS + RECORD.pack(Record.END, 0), FrameError, "no frame"),
        ],
    )
    def test_what_is_no_opening_is_refused_with_a_reason(self, receiver, said, kind, words):
        with dialed(receiver, said) as connected:
            error = error_in(all_of(connected))
        assert isinstance(error, kind)
        assert words in str(error)
        assert_serves(receiver)

    def test_a_node_that_never_accepts_is_given_up_in_time(self):
        with socket.create_server(("127.0.0.1", 0)) as deaf, receiving_at(deaf) as dial:
            started = time.monotonic()
            with pytest.raises(NodeUnreachableError, match=f"127.0.0.1:{deaf.getsockname()[1]}"):
                dial(timeout_seconds=1.0)
            assert time.monotonic() - started < 5

    def test_what_is_no_node_is_told_so(self):
        with socket.create_server(("127.0.0.1", 0)) as listening, receiving_at(listening) as dial:

            def greet():
                with listening.accept()[0] as accepted:
                    accepted.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                    accepted.recv(100)

            greeting = threading.Thread(target=greet)
            greeting.start()
            with pytest.raises(FrameError, match="what is no record"):
                dial(timeout_seconds=5)
            greeting.join(10)


@contextlib.contextmanager
def receiving_at(listening):
    from node_agent.dataplane.plane import open_sender

    address = f"127.0.0.1:{listening.getsockname()[1]}"
    yield lambda **more: open_sender(TCP, address, **more)


class TestStream:
    @pytest.mark.parametrize(
        ("said", "kind", "words"),
        [
            (record(b""), FrameError, "no frame"),
            (record(bytes(1000)), FrameError, "no frame"),
            (record(b"\x0a\xff\xff"), FrameError, "wrong length"),
            (RECORD.pack(Record.MESSAGE, LIMIT + 1), RequestRejectedError, "--max-message"),
            (RECORD.pack(Record.MESSAGE, 2**32 - 1), RequestRejectedError, "--max-message"),
            (RECORD.pack(Record.ACCEPTED, 0), FrameError, "kind 2"),
            (RECORD.pack(77, 0), FrameError, "kind 77"),
            (RECORD.pack(Record.END, 3) + b"abc", FrameError, "no record"),
            (RECORD.pack(Record.HEARTBEAT, 1 << 30), FrameError, "no record"),
            (RECORD.pack(Record.ERROR, 1 << 30), FrameError, "no record"),
            (record(b"x", Record.ERROR), FrameError, "no frame"),
        ],
    )
    def test_what_is_no_frame_is_refused_with_a_reason(self, receiver, said, kind, words):
        with dialed(receiver, PUSH, said) as connected:
            heard = all_of(connected)
        assert heard.startswith(ACCEPTED)
        error = error_in(heard[len(ACCEPTED) :])
        assert isinstance(error, kind)
        assert words in str(error)
        assert_serves(receiver)

    def test_a_length_alone_allocates_nothing(self, receiver):
        tracemalloc.start()
        with dialed(receiver, PUSH, RECORD.pack(Record.MESSAGE, 2**32 - 1)) as connected:
            all_of(connected)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 << 20

    @pytest.mark.parametrize("n_bytes", [1, RECORD.size, RECORD.size + 1, len(MESSAGE) - 1])
    def test_half_a_frame_is_dropped(self, receiver, n_bytes):
        with dialed(receiver, PUSH, MESSAGE, MESSAGE[:n_bytes]) as connected:
            connected.shutdown(socket.SHUT_WR)
            heard = all_of(connected)
        assert heard.startswith(ACCEPTED)
        stage = receiver.stages.named["d"]
        assert stage.take().request == 1
        assert stage.frames.empty()
        assert_serves(receiver)

    def test_a_frame_may_come_byte_by_byte_with_heartbeats_between(self, receiver):
        beat = RECORD.pack(Record.HEARTBEAT, 0)
        with dialed(receiver, PUSH) as connected:
            for byte in beat + MESSAGE + beat:
                connected.sendall(bytes((byte,)))
            assert receiver.stages.named["d"].take().request == 1
            connected.sendall(RECORD.pack(Record.END, 0))
            assert all_of(connected) == ACCEPTED + RECORD.pack(Record.END, 0)

    @given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([PUSH, RESULTS, MESSAGE])), max_size=4))
    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_garbage_ends_its_own_connection_only(self, receiver, said):
        with dialed(receiver) as connected, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in said:
                connected.sendall(piece)
            connected.shutdown(socket.SHUT_WR)
            all_of(connected)
        stage = receiver.stages.named["d"]
        while not stage.frames.empty():
            stage.take()

    def test_a_second_message_on_results_is_refused(self, receiver):
        wish = record(encode(SubscribeFrame(deployment="d", epoch=1)).joined())
        with dialed(receiver, RESULTS, wish, wish) as connected:
            assert b"second message" in all_of(connected)

    def test_connections_leave_no_threads_and_no_files(self, receiver):
        def cycle():
            with dialed(receiver, PUSH, MESSAGE) as connected:
                connected.shutdown(socket.SHUT_WR)
                all_of(connected)
            receiver.stages.named["d"].take()
            assert_serves(receiver)

        cycle()
        wait_until(lambda: threading.active_count() < 8)
        n_threads, n_files = threading.active_count(), n_open_files()
        for _ in range(30):
            cycle()
        wait_until(lambda: threading.active_count() <= n_threads)
        wait_until(lambda: n_open_files() <= n_files)

    def test_a_connection_for_which_there_is_no_thread_is_closed_and_the_next_one_is_served(self, receiver):
        with no_threads_left(), dialed(receiver, PUSH) as connected:
            assert all_of(connected) == b""
        assert_serves(receiver)

    def test_too_many_streams_are_refused_and_the_next_one_is_served(self, receiver):
        with contextlib.ExitStack() as opened:
            held = [opened.enter_context(dialed(receiver, PUSH)) for _ in range(64)]
            assert all(take(connected, len(ACCEPTED)) == ACCEPTED for connected in held)
            with dialed(receiver, PUSH) as connected:
                assert b"as many streams as it can" in all_of(connected)
        wait_until(lambda: can_serve(receiver))


def can_serve(receiver):
    try:
        assert_serves(receiver)
    except RequestRejectedError:
        return False
    return True


def n_open_files():
    return psutil.Process().num_fds()


def wait_until(holds, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def connection_of(connected, patience_seconds=0.6):
    prepare(connected)
    connection = Connection(
        PlainTransport(connected),
        peer="node at nowhere:1",
        opened_by=time.monotonic() + 5,
        patience_seconds=patience_seconds,
        max_message_bytes=1 << 30,
    )
    connection.accept()
    return connection


@pytest.fixture
def ends():
    """Two connected sockets."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    far.settimeout(10)
    return near, far


@pytest.fixture
def pair(ends):
    """A connection, and the bare socket at its other end."""
    near, far = ends
    connection = connection_of(near)
    assert take(far, len(ACCEPTED)) == ACCEPTED
    yield connection, far
    connection.close()
    far.close()


class TestSilence:
    def test_a_peer_that_says_nothing_is_gone(self, pair):
        connection, _ = pair
        started = time.monotonic()
        with pytest.raises(NodeUnreachableError, match=r"node at nowhere:1 has said nothing for 0\.6 s: it hangs"):
            next(connection.messages())
        assert 0.5 < time.monotonic() - started < 5

    def test_a_peer_that_falls_silent_within_a_message_is_gone(self, pair):
        connection, far = pair
        far.sendall(MESSAGE[:20])
        with pytest.raises(NodeUnreachableError, match="has said nothing"):
            next(connection.messages())

    def test_a_peer_whose_heart_beats_may_say_nothing_else(self, pair):
        connection, far = pair
        received = []
        reader = threading.Thread(target=lambda: received.append(next(connection.messages())))
        reader.start()
        for _ in range(5):
            time.sleep(0.2)
            far.sendall(RECORD.pack(Record.HEARTBEAT, 0))
        far.sendall(MESSAGE)
        reader.join(10)
        assert decode(received[0]).request == 1

    def test_a_peer_that_closes_within_the_stream_is_gone_at_once(self, pair):
        connection, far = pair
        far.close()
        with pytest.raises(NodeUnreachableError, match="gone"):
            next(connection.messages())

    def test_a_peer_that_takes_nothing_for_long_is_not_gone_while_its_heart_beats(self, pair):
        connection, far = pair
        message = encode(frame(3, 4 << 20))
        writing = threading.Thread(target=connection.write_message, args=(message,))
        reading = threading.Thread(target=lambda: next(connection.messages(), None))
        writing.start()
        reading.start()
        for _ in range(10):
            time.sleep(0.2)
            far.sendall(RECORD.pack(Record.HEARTBEAT, 0))
        assert writing.is_alive(), "the other end takes nothing yet"
        received = take(far, RECORD.size + message.n_bytes)
        far.sendall(RECORD.pack(Record.END, 0))
        for thread in (writing, reading):
            thread.join(10)
        assert decode(received[RECORD.size :]).request == 3

    def test_who_writes_to_a_silent_peer_is_woken_by_who_reads(self, pair):
        connection, _ = pair
        stream = TcpStream("nowhere:1", connection)
        stream.link = TcpLink(connection)
        sender = FrameSender(stream)
        with pytest.raises(NodeUnreachableError, match="has said nothing"):
            sender.send(frame(3, 4 << 20))
        sender.close()

    def test_who_writes_where_nobody_reads_gives_up_by_itself(self, ends, pair):
        near, _ = ends
        connection, _ = pair
        limit_unacknowledged(near, 0.6)
        with pytest.raises(TimeoutError):
            connection.write_message(encode(frame(3, 4 << 20)))

    def test_the_heart_beats_until_the_connection_is_closed(self, pair):
        connection, far = pair
        pulse = Pulse(beat_seconds=0.05)
        pulse.add(connection)
        assert take(far, 3 * RECORD.size) == 3 * RECORD.pack(Record.HEARTBEAT, 0)
        pulse.remove(connection)
        wait_until(lambda: not pulse.is_beating)

    def test_the_heart_beats_once_there_are_threads_again(self, pair):
        connection, far = pair
        pulse = Pulse(beat_seconds=0.05)
        with no_threads_left(), pytest.raises(RuntimeError):
            pulse.add(connection)
        assert not pulse.is_beating
        pulse.add(connection)
        assert take(far, RECORD.size) == RECORD.pack(Record.HEARTBEAT, 0)
        pulse.remove(connection)

    def test_no_heartbeat_falls_into_a_message(self, pair):
        connection, far = pair
        message = encode(frame(3, 4 << 20))
        writing = threading.Thread(target=connection.write_message, args=(message,))
        writing.start()
        writing.join(0.2)
        assert writing.is_alive(), "the other end takes nothing yet"
        started = time.monotonic()
        for _ in range(100):
            connection.beat()
        assert time.monotonic() - started < 1
        header = take(far, RECORD.size)
        assert RECORD.unpack(header) == (Record.MESSAGE, message.n_bytes)
        received = take(far, message.n_bytes)
        writing.join(10)
        assert (decode(received).tensors[0][1] == 3).all()

    def test_a_peer_that_is_late_still_hears_of_the_end(self, ends, pair):
        near, far = ends
        connection, _ = pair
        message = encode(frame(3))
        while select.select([], [near], [], 0.1)[1]:  # the kernel makes room for a while
            connection.write_message(message)
        ending = threading.Thread(target=connection.end)
        ending.start()
        ending.join(0.1)
        said = b""
        while more := far.recv(1 << 16):
            said += more
        ending.join(10)
        assert said.endswith(record(b"", Record.END))

    def test_ending_a_stream_does_not_wait_for_a_peer_that_takes_nothing(self, pair):
        connection, _ = pair
        message = encode(frame(3, 4 << 20))
        failed = []

        def write():
            try:
                connection.write_message(message)
            except OSError as exc:
                failed.append(exc)

        writing = threading.Thread(target=write)
        writing.start()
        writing.join(0.2)
        started = time.monotonic()
        connection.end(FrameError("enough"))
        assert time.monotonic() - started < 3
        writing.join(10)
        assert len(failed) == 1


def test_a_killed_peer_is_noticed_by_who_reads(pair):
    connection, far = pair
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()  # a reset
    with pytest.raises(NodeUnreachableError, match="gone"):
        next(connection.messages())


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="this system has no TCP_QUICKACK")
def test_a_message_is_not_acknowledged_by_the_call_that_reads_it(ends):
    near, far = ends
    transport = PlainTransport(far)

    def is_acknowledged():
        near.sendall(bytes(1000))
        assert transport.read(1000) == bytes(1000)
        return n_not_acknowledged(near) == 0

    with near, far:
        # An acknowledgement that is late comes after 40 ms, which this thread may spend waiting for a core.
        assert not all(is_acknowledged() for _ in range(20))


def n_not_acknowledged(connected):
    """Segments that were sent, `tcpi_unacked` of Linux's `struct tcp_info`."""
    information = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)
    return struct.unpack_from("I", information, 24)[0]
