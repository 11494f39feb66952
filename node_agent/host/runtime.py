"""The one door to onnxruntime. It is loaded with the first session, so that an idle agent stays small."""

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from node_agent.errors import AgentConfigError, NodeError, ShardRejectedError, StageFailedError
from node_agent.host.facts import resident_bytes
from node_agent.host.shard_store import ShardStore
from node_agent.messages import ShardRef, StageLoad, TensorSpec

UNKNOWN_SIZE = -1

_DTYPE_OF = {
    "tensor(bool)": "bool",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{f"tensor({kind}{bits})": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}

_LEVEL_OF = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
"""onnxruntime's name of each of `config.OPTIMISATIONS`."""

_ERROR_NAMES = (
    *("DeviceReset", "EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf"),
    *("ModelLoadCanceled", "ModelLoaded", "ModelRequiresCompilation", "NoModel", "NoSuchFile", "NotFound"),
    *("NotImplemented", "RuntimeException"),
)
"""What onnxruntime raises; its classes have no common base of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """How sessions are opened."""

    n_threads: int
    providers: tuple[str, ...]
    optimisation: str = "all"
    """One of `config.OPTIMISATIONS`."""

    @property
    def n_started(self) -> int:
        """Threads that a session starts: whoever runs it is the first of its threads."""
        return self.n_threads - 1


@functools.cache
def _onnxruntime() -> ModuleType:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it starts a thread that reports to its maker
    import onnxruntime  # noqa: PLC0415 - 20 MB that an idle agent does without

    onnxruntime.set_default_logger_severity(4)
    module: ModuleType = onnxruntime
    return module


def load_runtime() -> None:
    """Loads onnxruntime and all that its first session would load."""
    _session_options(RuntimeOptions(n_threads=1, providers=()))
    _errors()


@functools.cache
def _errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415 - as above

    found = [getattr(state, name) for name in _ERROR_NAMES if hasattr(state, name)]
    return (*found, ValueError, RuntimeError)


@contextmanager
def _runtime_faults(kind: type[NodeError], what: str) -> Iterator[None]:
    """Turns what onnxruntime raises into `kind`."""
    try:
        yield
    except _errors() as exc:
        raise kind(f"{what}: {' '.join(str(exc).split())}") from exc


def check_providers(providers: tuple[str, ...]) -> None:
    """Makes sure that onnxruntime has all `providers`; for the processor alone it need not be loaded.

    Raises:
        AgentConfigError: It lacks some, or none is named.
    """
    if providers == ("CPUExecutionProvider",):
        return
    available = _onnxruntime().get_available_providers()
    lacking = [name for name in providers if name not in available]
    if lacking or not providers:
        raise AgentConfigError(
            f"onnxruntime lacks {', '.join(lacking) or 'a provider to use'}: this build has {', '.join(available)}."
        )


class ShardSession:
    """An open shard. One thread runs it; `close` may be called by another."""

    def __init__(
        self,
        session: Any,
        *,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        seconds: float,
        memory_bytes: int,
        files: ExitStack,
    ) -> None:
        self._session: Any = session
        self._files = files
        self._run_options = _onnxruntime().RunOptions()
        self._interrupted_for = ""
        self.running_since: float | None = None
        """When the run in progress began, on the clock `time.monotonic`."""
        self.inputs = inputs
        self.outputs = outputs
        self.seconds = seconds
        """Time that opening took."""
        self.memory_bytes = memory_bytes
        """Growth of the process while it was opened."""

    def run(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs; `tensors` may hold more than the shard's inputs.

        Raises:
            StageFailedError: The runtime failed.
        """
        session = self._session
        if session is None:
            raise StageFailedError("the session is closed")
        feeds = {spec.name: np.require(tensors[spec.name], requirements=("C", "ALIGNED")) for spec in self.inputs}
        names = [spec.name for spec in self.outputs]
        self.running_since = time.monotonic()
        try:
            with _runtime_faults(StageFailedError, "onnxruntime failed"):
                values = session.run(names, feeds, self._run_options)
        except StageFailedError as exc:
            raise self._fault_of(exc) from exc
        finally:
            self.running_since = None
        return dict(zip(names, values, strict=True))

    def _fault_of(self, exc: StageFailedError) -> StageFailedError:
        """Why a run failed; after one that was interrupted others can run."""
        reason, self._interrupted_for = self._interrupted_for, ""
        if not reason:
            return exc
        if self._session is not None:
            self._run_options = _onnxruntime().RunOptions()
        return StageFailedError(f"a run was ended: {reason}")

    def interrupt(self, reason: str) -> None:
        """Ends the run in progress, which then fails for `reason`; one that comes next where it has just ended."""
        if self.running_since is not None:
            self._interrupted_for = reason
            self._run_options.terminate = True

    def when_closed(self, call: Callable[[], object]) -> None:
        """Has `call` made once the session is closed."""
        self._files.callback(call)

    def close(self) -> None:
        """Ends a run in progress and lets go of session and files."""
        self._run_options.terminate = True
        self._session = None
        self._files.close()


def _spec_of(argument: Any) -> TensorSpec:
    dtype = _DTYPE_OF.get(argument.type)
    if dtype is None:
        raise ShardRejectedError(f"{argument.name!r} is of type {argument.type}: only tensors of numbers can travel.")
    shape = tuple(size if isinstance(size, int) and size >= 0 else UNKNOWN_SIZE for size in argument.shape)
    return TensorSpec(name=argument.name, dtype=dtype, shape=shape)


def open_session(store: ShardStore, shard: ShardRef, options: RuntimeOptions) -> ShardSession:
    """Opens a shard that lies in `store`; its files stay there until the session is closed.

    Raises:
        BlobMissingError: The store lacks the graph or a blob.
        ShardRejectedError: onnxruntime cannot load the shard.
    """
    with ExitStack() as files:
        files.enter_context(store.in_use(shard))
        path = store.path_of(shard.graph)
        before, started = resident_bytes(), time.perf_counter()
        session = start_session(path, options)
        seconds = time.perf_counter() - started
        return ShardSession(
            session,
            inputs=specs_of(session.get_inputs()),
            outputs=specs_of(session.get_outputs()),
            seconds=seconds,
            memory_bytes=max(0, resident_bytes() - before),
            files=files.pop_all(),
        )


def start_session(path: Path, options: RuntimeOptions) -> Any:
    """Onnxruntime's session on the graph at `path`, which bears its digest as name.

    Raises:
        ShardRejectedError: onnxruntime cannot load it.
    """
    with _runtime_faults(ShardRejectedError, f"onnxruntime cannot load shard {path.name}"):
        return _onnxruntime().InferenceSession(path, _session_options(options), providers=list(options.providers))


def specs_of(arguments: Iterable[Any]) -> tuple[TensorSpec, ...]:
    """Inputs or outputs of a session.

    Raises:
        ShardRejectedError: One is something that cannot travel.
    """
    return tuple(map(_spec_of, arguments))


def _session_options(options: RuntimeOptions) -> Any:
    onnxruntime = _onnxruntime()
    made = onnxruntime.SessionOptions()
    made.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVEL_OF[options.optimisation])
    made.intra_op_num_threads = options.n_threads
    made.inter_op_num_threads = 1
    made.add_session_config_entry("session.load_model_format", "ONNX")  # another one would not be looked through
    made.log_severity_level = 4  # faults are raised, and logged by us
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning takes the neighbour's core
    made.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")  # float32, whatever a cut lets it fuse
    return made


def check_tensors(session: ShardSession, load: StageLoad) -> None:
    """Makes sure that a shard can do what its stage is to do.

    Raises:
        ShardRejectedError: It wants tensors that the stage does not receive, or the stage sends some that nobody has.
    """
    received = {spec.name: spec for spec in load.receives}
    available = received | {spec.name: spec for spec in session.outputs}
    faults = [f"it wants {spec.name!r}, which does not come in" for spec in session.inputs if spec.name not in received]
    faults += [f"{spec.name!r} is neither made nor received" for spec in load.sends if spec.name not in available]
    faults += [*_type_faults(session.inputs, received), *_type_faults(load.sends, available)]
    if faults:
        raise ShardRejectedError(f"Shard {load.shard.graph.sha256} does not fit its stage: " + "; ".join(faults))


def _type_faults(wanted: Iterable[TensorSpec], available: Mapping[str, TensorSpec]) -> list[str]:
    pairs = [(spec, available[spec.name]) for spec in wanted if spec.name in available]
    return [f"{spec.name!r} is {has.dtype}, wanted as {spec.dtype}" for spec, has in pairs if has.dtype != spec.dtype]
