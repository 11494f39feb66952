"""What a node can do. The agent itself and the client of a remote one have this same type."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from node_agent.messages import (
    BlobRef,
    CodecProfileRequest,
    CodecSample,
    NodeDescription,
    NodeStatus,
    ProbeRequest,
    ProbeSample,
    ProfileEvent,
    ProfileRequest,
    StageLoad,
    StageLoaded,
    StageStatus,
)

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1
"""Versions of the wire contract that this code speaks."""


def remedy_of_mismatch(*, is_node_older: bool) -> str:
    """What to do where no protocol is common to both ends."""
    if is_node_older:
        return "the node is older, upgrade splitfront there, so that both are the same."
    return "the client is older, upgrade splitfront here, so that both are the same."


Transfer = tuple[BlobRef, Iterable[bytes]]
"""A blob and its content behind the first `n_have` bytes."""


class Node(Protocol):
    """One node. Every method may raise any `NodeError`; methods may be called from several threads."""

    def describe(self) -> NodeDescription:
        """What the node is."""
        ...

    def status(self, renew: Iterable[str] = ()) -> NodeStatus:
        """How the node is; the leases of the deployments `renew` begin anew."""
        ...

    def missing_blobs(self, blobs: Iterable[BlobRef]) -> tuple[BlobRef, ...]:
        """Those of `blobs` that the node's store lacks; `n_have`: how much of them came before a cut."""
        ...

    def put_blob(self, blob: BlobRef, chunks: Iterable[bytes]) -> None:
        """Stores a blob whose content behind its first `n_have` bytes is `chunks` joined; see `put_blobs`."""
        ...

    def put_blobs(self, transfers: Iterable[Transfer]) -> None:
        """Stores blobs one after another, without waiting in between; those already stored are accepted.

        Of one that is cut off the node may keep the beginning: `missing_blobs` says how much.

        Raises:
            BlobCorruptError: Content does not have the digest or the length of its blob, or is to follow what is not
                there; nothing of it is kept. Those before it are stored.
            StoreFullError: Quota or disk is exhausted; those before are stored.
        """
        ...

    def load_stage(self, load: StageLoad) -> StageLoaded:
        """Makes a stage ready; one of the same deployment, epoch and stage is replaced, other epochs go on beside it.

        Raises:
            RequestRejectedError: The stage is there with a newer epoch, or the order makes no sense.
            BlobMissingError: The store lacks a blob of the shard.
            ShardRejectedError: The shard did not pass its trial, or its tensors are not those announced.
        """
        ...

    def unload_stage(self, deployment: str, *, first_epoch: int = 0, last_epoch: int | None = None) -> int:
        """Ends the stages of a deployment on this node and says how many there were.

        Args:
            deployment: Whose stages.
            first_epoch: Only of this epoch and later ones.
            last_epoch: Only of this epoch and earlier ones; None: of all.
        """
        ...

    def list_stages(self) -> tuple[StageStatus, ...]:
        """All stages that are loaded."""
        ...

    def profile(self, request: ProfileRequest) -> Iterator[ProfileEvent]:
        """Times segments; progress and new samples come a few times per second while it works.

        What came is measured, whatever happens afterwards; closing the iterator ends the work.
        """
        ...

    def probe_link(self, request: ProbeRequest) -> tuple[ProbeSample, ...]:
        """Times messages to another node through the data plane."""
        ...

    def profile_codecs(self, request: CodecProfileRequest) -> tuple[CodecSample, ...]:
        """Times codecs of boundary tensors, interleaved.

        Raises:
            CodecMissingError: The node lacks a codec; the message says which it has.
        """
        ...
