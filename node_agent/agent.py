"""The node itself: what `api.Node` promises, done on this machine."""

import logging
import platform
import secrets
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from node_agent.api import PROTOCOL_MAX, Transfer
from node_agent.codecs import available_codecs, time_codecs
from node_agent.config import AgentConfig
from node_agent.dataplane.probing import probe
from node_agent.errors import RequestRejectedError
from node_agent.host import facts, processors, thermal
from node_agent.host.control_group import cpu_limit, own_group
from node_agent.host.energy import find_meter
from node_agent.host.lifecycle import Lifecycle
from node_agent.host.opening import ShardOpener
from node_agent.host.profiler import Profiler
from node_agent.host.request_rules import check_codec_profile, check_probe, check_profile
from node_agent.host.run_watch import RunWatch
from node_agent.host.runtime import RuntimeOptions, check_providers
from node_agent.host.shard_store import ShardStore
from node_agent.host.surroundings import Watch
from node_agent.host.trials.trials import Trials
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

_PROFILE_WAIT_SECONDS = 5.0
_logger = logging.getLogger(__name__)


class Agent:
    """One node, in this process. Thread-safe. Has the methods of `api.Node`; `close` ends it."""

    def __init__(self, config: AgentConfig, *, system: Path = Path("/")) -> None:
        """Checks the configuration and opens the store.

        Args:
            config: All that the agent is told.
            system: Where `proc` and `sys` are that tell of the machine.

        Raises:
            AgentConfigError: The agent cannot run as it was configured.
        """
        config.check()
        self.config = config
        self._runtime_version = facts.runtime_version()
        check_providers(config.providers)
        options = RuntimeOptions(
            n_threads=config.n_threads, providers=config.providers, optimisation=config.optimisation
        )
        self._memory_limit = config.limits.memory_limit(facts.memory_bytes(system))
        self._store = ShardStore(config.store, config.limits.disk_bytes)
        self._trials = Trials(
            config.store,
            options,
            config.limits,
            runtime=self._runtime_version,
            memory_limit=self._memory_limit,
            memory_left=self._memory_left,
            cpu_limit=cpu_limit(own_group(system)),
            is_off=config.without_trials,
        )
        watch = RunWatch(config.limits.run_seconds, self._memory_limit, facts.held_bytes)
        self._opener = ShardOpener(
            self._store,
            self._trials,
            watch,
            options,
            n_sessions=config.limits.n_sessions,
            threads_left=partial(facts.threads_left, system),
        )
        self.stages = Lifecycle(
            node=config.name, open_shard=self._opener.open, is_emulated=config.slowdown > 0, tls=config.tls
        )
        self.tcp_port = 0
        """Where its server listens for the data plane `tcp`; 0: nowhere."""
        self._started = time.monotonic()
        self._instance = secrets.token_hex(8)
        self._profiling = threading.Lock()
        self._meter = find_meter(config.providers, system)
        self._watch = Watch(system)
        self._system = system

    def _memory_left(self) -> int:
        """Bytes that sessions may still take: within the agent's limit, and of what the machine has free."""
        return min(self._memory_limit - facts.held_bytes(), facts.available_bytes())

    def describe(self) -> NodeDescription:
        """What the node is."""
        cores = processors.usable_cores()
        return NodeDescription(
            name=self.config.name,
            protocol=PROTOCOL_MAX,
            version=facts.splitfront_version(),
            machine=platform.machine(),
            cpu=facts.cpu_name(),
            n_cores=len(cores),
            memory_bytes=facts.memory_bytes(self._system),
            resident_bytes=facts.resident_bytes(),
            python=platform.python_version(),
            runtime=self._runtime_version,
            providers=self.config.providers,
            n_threads=self.config.n_threads,
            slowdown=self.config.slowdown,
            host_id=facts.host_id(),
            codecs=available_codecs(),
            optimisation=self.config.optimisation,
            governor=processors.governor(cores[0], self._system),
            temperature_class=thermal.temperature_class(thermal.temperature_celsius(self._system)),
            cpu_limit=cpu_limit(own_group(self._system)),
            energy_meter=self._meter.name if self._meter else "",
            cores=cores,
            tcp_port=self.tcp_port,
            trials=self._trials.description,
        )

    def status(self, renew: Iterable[str] = ()) -> NodeStatus:
        """How the node is; the leases of the deployments `renew` begin anew."""
        self.stages.renew(renew)
        return NodeStatus(
            uptime_seconds=time.monotonic() - self._started,
            resident_bytes=facts.resident_bytes(),
            store_bytes=self._store.stored_bytes,
            store_quota_bytes=self._store.quota_bytes,
            n_stages=len(self.stages.statuses()),
            warnings=self._watch.doubts(),
            temperature_celsius=thermal.temperature_celsius(self._system),
            joules=self._meter.joules() if self._meter else 0.0,
            instance=self._instance,
        )

    def missing_blobs(self, blobs: Iterable[BlobRef]) -> tuple[BlobRef, ...]:
        """Those of `blobs` that the store lacks."""
        missing = self._store.missing(blobs)
        if missing:
            self._trials.prepare()
        return missing

    def put_blob(self, blob: BlobRef, chunks: Iterable[bytes]) -> None:
        """Stores a blob; see `ShardStore.put`."""
        self._store.put(blob, chunks)

    def put_blobs(self, transfers: Iterable[Transfer]) -> None:
        """Stores blobs one after another."""
        for blob, chunks in transfers:
            self._store.put(blob, chunks)

    def load_stage(self, load: StageLoad) -> StageLoaded:
        """Makes a stage ready; see `Lifecycle.load`."""
        return self.stages.load(load)

    def unload_stage(self, deployment: str, *, first_epoch: int = 0, last_epoch: int | None = None) -> int:
        """Ends the stages of a deployment, of the epochs in between, on this node and says how many there were."""
        return self.stages.unload(deployment, first_epoch, last_epoch)

    def list_stages(self) -> tuple[StageStatus, ...]:
        """All stages that are loaded."""
        return self.stages.statuses()

    def profile(self, request: ProfileRequest) -> Generator[ProfileEvent, None, None]:
        """Times segments; see `Profiler.events`. One profile at a time: another one waits 5 s, then is rejected.

        Raises:
            RequestRejectedError: The request makes no sense, or another profile is at work.
        """
        check_profile(request)
        with self._only_profile():
            _logger.info("profile begins", extra={"n_segments": len(request.segments)})
            yield from Profiler(self._opener, request, self.config.slowdown).events()

    def probe_link(self, request: ProbeRequest) -> tuple[ProbeSample, ...]:
        """Times messages to another node; see `dataplane.probing.probe`."""
        check_probe(request, self.config.limits.message_bytes)
        return probe(request, self.config.tls)

    def profile_codecs(self, request: CodecProfileRequest) -> tuple[CodecSample, ...]:
        """Times codecs of boundary tensors; see `codecs.time_codecs`. Waits for a profile as another profile would.

        Raises:
            CodecMissingError: The node lacks a codec.
            RequestRejectedError: The request makes no sense, or a profile is at work.
        """
        check_codec_profile(request, self.config.limits.message_bytes)
        with self._only_profile():
            return time_codecs(request, self.config.slowdown or 1.0)

    @contextmanager
    def _only_profile(self) -> Iterator[None]:
        if not self._profiling.acquire(timeout=_PROFILE_WAIT_SECONDS):
            raise RequestRejectedError(
                f"Node {self.config.name!r} is busy with another profile: wait for its end, or cancel it."
            )
        try:
            yield
        finally:
            self._profiling.release()

    def close(self) -> None:
        """Ends all stages and frees the store."""
        self.stages.close()
        self._trials.close()
        self._store.close()
