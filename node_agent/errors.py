"""The errors of `node_agent`, the same on both ends of the wire (see `wire_errors`).

NodeError
├── NodeUnreachableError (ConnectionError)   nobody answers at the address
│   └── TlsRefusedError                      … under TLS; says which end has what against the other
├── ProtocolMismatchError                    the two ends speak different versions
├── BlobCorruptError (ValueError)            content does not have the digest it was announced with
├── BlobMissingError (LookupError)           a shard refers to a blob that the store lacks
├── StoreFullError (OSError)                 quota or disk exhausted
├── ShardRejectedError (ValueError)          the node must not open the shard, or its runtime cannot
├── StageMissingError (LookupError)          no such deployment or stage here
├── CodecMissingError (LookupError)          no codec of this name here
├── StageFailedError (RuntimeError)          the runtime failed on a request
├── FrameError (ValueError)                  a frame is malformed or does not fit its stage
├── RequestRejectedError (ValueError)        an argument is out of range
├── PeerRefusedError (PermissionError)       the other end's certificate does not entitle it to this
├── ListenError (OSError)                    the agent cannot listen where it was told to
└── AgentConfigError (ValueError)            the agent cannot run as it was configured
"""


class NodeError(Exception):
    """Base of all errors of this package."""


class NodeUnreachableError(NodeError, ConnectionError):
    """Nobody answers at the address."""


class TlsRefusedError(NodeUnreachableError):
    """An end cannot be spoken to because of TLS."""


class ProtocolMismatchError(NodeError):
    """The two ends speak different versions of the protocol."""


class BlobCorruptError(NodeError, ValueError):
    """Content does not have the digest or length that it was announced with."""


class BlobMissingError(NodeError, LookupError):
    """A shard refers to a blob that the store lacks."""


class StoreFullError(NodeError, OSError):
    """The store's quota or its disk is exhausted."""


class ShardRejectedError(NodeError, ValueError):
    """The shard breaks a rule of the node, takes too much of it, or its runtime cannot load it."""


class StageMissingError(NodeError, LookupError):
    """No such deployment or stage on this node."""


class CodecMissingError(NodeError, LookupError):
    """No codec of this name on this machine."""


class StageFailedError(NodeError, RuntimeError):
    """The runtime failed on a request."""


class FrameError(NodeError, ValueError):
    """A frame is malformed or does not fit its stage."""


class RequestRejectedError(NodeError, ValueError):
    """An argument of a call is out of range."""


class PeerRefusedError(NodeError, PermissionError):
    """The certificate of the other end does not entitle it to what it wants."""


class ListenError(NodeError, OSError):
    """The agent cannot listen where it was told to."""


class AgentConfigError(NodeError, ValueError):
    """The agent cannot run as it was configured."""
