"""The giving end of a Results stream, over any plane: who subscribes gets what the last stage makes."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from node_agent.dataplane.encoded import Buffer
from node_agent.dataplane.frame import decode
from node_agent.dataplane.outbox import Outbox
from node_agent.dataplane.queueing import QueueClosedError
from node_agent.dataplane.stream import Link
from node_agent.errors import FrameError, StageMissingError
from node_agent.messages import LinkEmulation, SubscribeFrame

LinkOfPlane = TypeVar("LinkOfPlane", bound=Link)


class OutboxFinder(Protocol):
    """Knows the last stages of a node."""

    def find_last(self, deployment: str, epoch: int) -> Outbox:
        """Where the results of a deployment come out.

        Raises:
            StageMissingError: Its last stage is not here, or of another epoch.
        """
        ...


def take_subscription(
    first: Buffer, stages: OutboxFinder, open_link: Callable[[LinkEmulation | None, tuple[bytes, ...]], LinkOfPlane]
) -> tuple[Outbox, LinkOfPlane]:
    """Where results come from and the link over which they go.

    Args:
        first: First message of the stream; it says what is wanted.
        stages: Those of the node.
        open_link: Makes the link to the subscriber: (how it is emulated, the messages that are the first on it).

    Raises:
        FrameError: The message is no subscription.
        StageMissingError: The last stage of this deployment and epoch is not here.
        RequestRejectedError: The link to emulate is out of range.
    """
    wanted = decode(first)
    if not isinstance(wanted, SubscribeFrame):
        raise FrameError("The first frame on Results must be a subscription.")
    outbox = stages.find_last(wanted.deployment, wanted.epoch)
    try:
        return outbox, outbox.subscribe(lambda backlog: open_link(wanted.link_back, backlog))
    except QueueClosedError as exc:
        raise StageMissingError(f"Deployment {wanted.deployment!r} was just unloaded.") from exc
