"""Receiving ends of both data planes in this process, with a stage that only keeps what it is given."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from types import SimpleNamespace

import grpc

from node_agent.channel_options import server_credentials, server_options
from node_agent.config import AgentConfig
from node_agent.dataplane.failure import FailureLatch
from node_agent.dataplane.outbox import Outbox
from node_agent.dataplane.plane import open_sender, subscribe
from node_agent.dataplane.planes import GRPC
from node_agent.dataplane.tcp.listener import TcpListener
from node_agent.errors import StageMissingError
from node_agent.limits import Limits
from node_agent.messages import SubscribeFrame
from node_agent.service import DataPlaneServicer
from node_agent.tls.interceptor import RoleInterceptor
from node_agent.tls.live import LiveTls

MAX_MESSAGE_BYTES = 64 << 20


class KeepingStage:
    """Keeps the frames that it is offered."""

    def __init__(self, epoch=1):
        self.load = SimpleNamespace(epoch=epoch)
        self.failure = FailureLatch()
        self.frames = SimpleQueue()
        self.outbox = Outbox()

    def offer(self, arrival):
        self.failure.check()
        self.frames.put(arrival.frame)

    def take(self):
        return self.frames.get(timeout=10)


class Stages:
    """Stages by deployment."""

    def __init__(self):
        self.named = {}

    def add(self, deployment, epoch=1):
        self.named[deployment] = KeepingStage(epoch)
        return self.named[deployment]

    def find(self, deployment, epoch, stage):
        if deployment not in self.named:
            raise StageMissingError(f"There is no stage {stage} of {deployment!r}.")
        found = self.named[deployment]
        return found if found.load.epoch == epoch else None

    def find_last(self, deployment, epoch):
        found = self.find(deployment, epoch, 0)
        if found is None:
            raise StageMissingError(f"{deployment!r} is not of epoch {epoch}.")
        return found.outbox


class Receiver:
    """One plane's receiving end, and the ways to it."""

    def __init__(self, plane, address, stages, tls):
        self.plane, self.address, self.stages, self._tls = plane, address, stages, tls
        self._opened = ExitStack()

    def sender(self, **more):
        opened = open_sender(self.plane, self.address, tls=self._tls, **more)
        self._opened.callback(opened.close)
        return opened

    def subscribe(self, deployment, epoch=1, link_back=None):
        wish = SubscribeFrame(deployment=deployment, epoch=epoch, link_back=link_back)
        opened = subscribe(self.plane, self.address, wish, tls=self._tls)
        self._opened.callback(opened.close)
        return opened

    def close(self):
        self._opened.close()


@contextmanager
def receiving(plane, folder, *, node_tls=None, client_tls=None, max_message_bytes=MAX_MESSAGE_BYTES, **more):
    stages = Stages()
    config = AgentConfig(name="n", store=folder, tls=node_tls, limits=Limits(message_bytes=max_message_bytes))
    live = LiveTls(node_tls) if node_tls else None
    with ExitStack() as stack:
        if plane == GRPC:
            handlers = [DataPlaneServicer(SimpleNamespace(stages=stages), 16, live).handler()]
            server = grpc.server(
                ThreadPoolExecutor(16),
                handlers=handlers,
                interceptors=[RoleInterceptor(live)] if live else (),
                options=server_options(max_message_bytes),
            )
            port = (
                server.add_secure_port("127.0.0.1:0", server_credentials(live))
                if live
                else server.add_insecure_port("127.0.0.1:0")
            )
            server.start()
            stack.callback(lambda: server.stop(0.1).wait())
        else:
            listener = TcpListener(stages, config, 0, **more)
            port = listener.port
            stack.callback(listener.stop)
        receiver = Receiver(plane, f"127.0.0.1:{port}", stages, client_tls)
        stack.callback(receiver.close)
        stack.callback(lambda: [stage.outbox.close() for stage in stages.named.values()])
        yield receiver
