"""Our errors as gRPC status and back. The table is complete: a test walks all subclasses of `NodeError`.

An error travels as a status code, which any gRPC client understands, its message as the status' details, and the name
of its class in the trailing metadata `splitfront-error`, so that both ends know the same exception.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc

from node_agent import errors

METADATA_KEY = "splitfront-error"
_MAX_DETAILS_BYTES = 2000
"""The details travel as a header, where a byte may take three; headers are limited to 8 KiB."""

STATUS_OF: dict[type[errors.NodeError], grpc.StatusCode] = {
    errors.NodeError: grpc.StatusCode.INTERNAL,
    errors.NodeUnreachableError: grpc.StatusCode.UNAVAILABLE,
    errors.TlsRefusedError: grpc.StatusCode.UNAVAILABLE,
    errors.ProtocolMismatchError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.BlobCorruptError: grpc.StatusCode.DATA_LOSS,
    errors.BlobMissingError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StoreFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ShardRejectedError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.StageMissingError: grpc.StatusCode.NOT_FOUND,
    errors.CodecMissingError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StageFailedError: grpc.StatusCode.ABORTED,
    errors.FrameError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.RequestRejectedError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PeerRefusedError: grpc.StatusCode.PERMISSION_DENIED,
    errors.ListenError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AgentConfigError: grpc.StatusCode.FAILED_PRECONDITION,
}

_CLASS_OF = {kind.__name__: kind for kind in STATUS_OF}
_logger = logging.getLogger(__name__)


def error_named(name: str, message: str) -> errors.NodeError:
    """The error of class `name`; the base class where this side does not know the name."""
    return _CLASS_OF.get(name, errors.NodeError)(message)


@contextmanager
def errors_to_status(context: grpc.ServicerContext, call: str) -> Iterator[None]:
    """Ends the call with the status of an error raised inside; what is not ours is logged and becomes INTERNAL."""
    try:
        yield
    except errors.NodeError as exc:
        error: errors.NodeError = exc.with_traceback(None)  # which holds what came, and this very frame
    except grpc.RpcError:
        _logger.info("call ended by its client", extra={"call": call, "peer": context.peer()})
        return
    except Exception:
        _logger.exception("call failed unexpectedly", extra={"call": call, "peer": context.peer()})
        error = errors.NodeError(f"{call} failed on the node for a reason that is not the caller's: see the node's log")
    else:
        return
    _abort(context, error)


def _abort(context: grpc.ServicerContext, error: errors.NodeError) -> NoReturn:
    known = next(kind for kind in type(error).__mro__ if kind in STATUS_OF)
    context.set_trailing_metadata(((METADATA_KEY, known.__name__),))
    context.abort(STATUS_OF[known], str(error).encode()[:_MAX_DETAILS_BYTES].decode(errors="ignore"))


def error_from_rpc(exc: grpc.RpcError, address: str, call: str) -> errors.NodeError:
    """What a failed call to `address` means, as one of our errors. To be raised `from exc`."""
    status: Any = exc  # every RpcError of a finished call is also a grpc.Call
    details = status.details() or "no details"
    for key, value in status.trailing_metadata() or ():
        if key == METADATA_KEY:
            return error_named(str(value), details)
    return _foreign(status.code(), details, address, call)


def _foreign(code: grpc.StatusCode, details: str, address: str, call: str) -> errors.NodeError:
    """Meaning of a status that no node set: it came from gRPC itself, or from another program."""
    where = f"node at {address}"
    if code is grpc.StatusCode.UNAVAILABLE:
        return errors.NodeUnreachableError(
            f"Cannot reach the {where} ({details}): start an agent there, or check address, firewall and TLS files."
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.NodeUnreachableError(f"The {where} did not answer {call} in time: it is overloaded or cut off.")
    if code is grpc.StatusCode.CANCELLED:
        return errors.NodeUnreachableError(f"{call} to the {where} was cancelled before it ended ({details}).")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return errors.ProtocolMismatchError(
            f"What listens at {address} does not know {call}: it is no node ({details})."
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        has_no_thread = "oncurrent RPC" in details
        remedy = "try again when others have ended" if has_no_thread else "raise its --max-message, or ask for less"
        return errors.RequestRejectedError(f"{call} is too much for the {where} ({details}): {remedy}.")
    return errors.NodeError(f"{call} to the {where} failed with {code.name}: {details}")
