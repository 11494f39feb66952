"""The client's end of stages that are loaded."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from coordinator.fleet import Fleet, FleetNode
from coordinator.pipeline import FrameSource, Pipeline
from coordinator.replicas import FailingSink, SinksInTurn, SourcesTogether
from node_agent.dataplane.plane import open_sender, subscribe
from node_agent.messages import LinkEmulation, SubscribeFrame
from partitioner.cluster import CLIENT
from partitioner.onnx_io import Model
from partitioner.plan import Candidate

LinkTo = Callable[[str, str], LinkEmulation | None]
"""How the link from one place to another is emulated."""


def connect_plan(
    fleet: Fleet,
    model: Model,
    candidate: Candidate,
    *,
    deployment: str,
    epoch: int,
    window: int | None = None,
    first_request: int = 0,
) -> Pipeline:
    """The client's end of a plan whose stages are loaded.

    Raises:
        NodeError: A node could not be reached, or does not hold its stage.
    """
    firsts, lasts = ([fleet.node_of[device] for device in candidate.plan.stages[index].devices] for index in (0, -1))
    return open_pipeline(
        firsts,
        lasts,
        deployment=deployment,
        epoch=epoch,
        link_to=fleet.config.link_emulation,
        input_names=model.graph.boundaries[0],
        window=window or candidate.plan.window,
        is_ordered=any(stage.replicas for stage in candidate.plan.stages),
        first_request=first_request,
    )


def no_emulation(_source: str, _target: str) -> None:
    """Links as they are."""


def open_pipeline(
    firsts: Sequence[FleetNode],
    lasts: Sequence[FleetNode],
    *,
    deployment: str,
    epoch: int,
    link_to: LinkTo,
    input_names: tuple[str, ...],
    window: int,
    is_ordered: bool = False,
    first_request: int = 0,
) -> Pipeline:
    """The client's end of stages that are loaded.

    Args:
        firsts: Nodes that bear the first stage, in turn.
        lasts: Those that bear the last one.
        deployment: Name of what was loaded.
        epoch: Of it.
        link_to: Emulates the links from and to the client.
        input_names: What the first stage receives.
        window: Most requests in flight.
        is_ordered: Whether results may overtake each other, so that their order is to be restored.
        first_request: Number of the first request.

    Raises:
        NodeError: A node could not be reached, or does not hold its stage.
    """
    with ExitStack() as opened:
        sources: list[FrameSource] = []
        for node in lasts:
            wish = SubscribeFrame(deployment=deployment, epoch=epoch, link_back=link_to(node.name, CLIENT))
            plane = node.output_plane
            sources.append(subscribe(plane, node.data_address(plane), wish, tls=node.tls))
            opened.callback(sources[-1].close)
        senders: list[FailingSink] = []
        for node in firsts:
            plane, link = node.input_plane, link_to(CLIENT, node.name)
            senders.append(open_sender(plane, node.data_address(plane), link=link, tls=node.tls))
            opened.callback(senders[-1].close)
        opened.pop_all()
    sink = senders[0] if len(senders) == 1 else SinksInTurn(senders)
    pipeline = Pipeline(
        deployment=deployment,
        epoch=epoch,
        sink=sink,
        source=sources[0] if len(sources) == 1 else SourcesTogether(sources),
        input_names=input_names,
        window=window,
        is_ordered=is_ordered,
        first_request=first_request,
    )
    sink.failure.listen(pipeline.fail)
    return pipeline
