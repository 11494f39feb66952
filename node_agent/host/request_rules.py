"""Which orders a node takes. Each check names all faults of an order at once."""

import math
from collections.abc import Iterable

from node_agent.config import parse_address
from node_agent.dataplane.planes import PLANES
from node_agent.dataplane.shaping import faults_of
from node_agent.element_types import DTYPES
from node_agent.errors import AgentConfigError, RequestRejectedError
from node_agent.messages import CodecProfileRequest, LinkEmulation, ProbeRequest, ProfileRequest, StageLoad, TensorSpec

_MAX_QUEUE_LIMIT = 1024
_MAX_HOPS = 64
_MAX_ROUNDS = 100_000
_MAX_PROBES = 10_000
_MAX_PROBE_MESSAGES = 1024
_MAX_CODEC_SAMPLES = 10_000
_MAX_CODEC_BYTES = 1 << 34
"""That a codec profile may encode: about a minute's work, at most ten on the slowest devices."""


def check_load(load: StageLoad) -> None:
    """Raises `RequestRejectedError` unless `load` makes sense in itself."""
    faults = [] if load.deployment else ["a deployment needs a name"]
    if not 0 <= load.stage < load.n_stages:
        faults.append(f"stage {load.stage} is none of {load.n_stages}: want 0 to {load.n_stages - 1}")
    if load.epoch < 0:
        faults.append(f"the epoch must be 0 or more, got {load.epoch}")
    is_last = load.stage == load.n_stages - 1
    if is_last and load.hops:
        faults.append(f"the last stage has no next address, got {load.hops[0].address!r}")
    if is_last and load.codec:
        faults.append(f"the last stage sends as it is, got the codec {load.codec!r}")
    if not is_last:
        faults += _hop_faults(load)
    for name, seconds in _paces(load).items():
        if not 0 <= seconds < math.inf:
            faults.append(f"{name} must be 0 or more, got {seconds:g}")
    if not 0 <= load.lease_seconds < math.inf:
        faults.append(f"lease_seconds must be 0 or more, got {load.lease_seconds:g}")
    if not 1 <= load.queue_limit <= _MAX_QUEUE_LIMIT:
        faults.append(f"queue_limit must be 1 to {_MAX_QUEUE_LIMIT}, got {load.queue_limit}")
    faults += [*_tensor_faults(load.receives), *_tensor_faults(load.sends), *_link_faults(load.link)]
    faults += [fault for hop in load.next_hops for fault in _link_faults(hop.link)]
    _reject(f"Stage {load.stage} of {load.deployment!r}", faults)


def check_profile(request: ProfileRequest) -> None:
    """Raises `RequestRejectedError` unless `request` makes sense in itself."""
    faults = [] if request.segments else ["there are no segments"]
    if len({segment.name for segment in request.segments}) != len(request.segments):
        faults.append("two segments have the same name")
    if not 1 <= request.n_rounds <= _MAX_ROUNDS:
        faults.append(f"n_rounds must be 1 to {_MAX_ROUNDS}, got {request.n_rounds}")
    if not 0 < request.budget_seconds < math.inf:
        faults.append(f"budget_seconds must be above 0, got {request.budget_seconds:g}")
    if not 0 <= request.tolerance < 1:
        faults.append(f"tolerance must be 0 or more and below 1, got {request.tolerance:g}")
    _reject("Profile", faults)


def check_probe(request: ProbeRequest, max_message_bytes: int) -> None:
    """Raises `RequestRejectedError` unless `request` makes sense in itself."""
    faults = [*_address_faults(request.target_address), *_plane_faults(request.plane)]
    if not request.sizes_bytes or not 1 <= request.n_rounds * len(request.sizes_bytes) <= _MAX_PROBES:
        faults.append(f"rounds × sizes must be 1 to {_MAX_PROBES}, got {request.n_rounds} × {len(request.sizes_bytes)}")
    faults += [
        f"a message of {n_bytes} bytes is outside 0 to {max_message_bytes}"
        for n_bytes in request.sizes_bytes
        if not 0 <= n_bytes <= max_message_bytes
    ]
    if not 1 <= request.n_messages <= _MAX_PROBE_MESSAGES:
        faults.append(f"n_messages must be 1 to {_MAX_PROBE_MESSAGES}, got {request.n_messages}")
    faults += [*_link_faults(request.link), *_link_faults(request.link_back)]
    _reject(f"Probe of {request.target_address!r}", faults)


def check_codec_profile(request: CodecProfileRequest, max_message_bytes: int) -> None:
    """Raises `RequestRejectedError` unless `request` makes sense in itself."""
    n_samples = request.n_rounds * len(request.sizes_bytes) * len(request.codecs)
    faults = [] if request.dtype in DTYPES else [f"elements of {request.dtype!r} cannot travel"]
    if not 1 <= n_samples <= _MAX_CODEC_SAMPLES:
        faults.append(f"rounds × sizes × codecs must be 1 to {_MAX_CODEC_SAMPLES}, got {n_samples}")
    faults += [
        f"a tensor of {n_bytes} bytes is outside 16 to {max_message_bytes}"
        for n_bytes in request.sizes_bytes
        if not 16 <= n_bytes <= max_message_bytes
    ]
    work_bytes = request.n_rounds * sum(request.sizes_bytes) * len(request.codecs)
    if work_bytes > _MAX_CODEC_BYTES:
        faults.append(f"all tensors together must have at most {_MAX_CODEC_BYTES} bytes, got {work_bytes}")
    _reject("Profile of codecs", faults)


def _reject(what: str, faults: list[str]) -> None:
    if faults:
        raise RequestRejectedError(f"{what} is rejected: " + "; ".join(faults) + ".")


def _hop_faults(load: StageLoad) -> list[str]:
    if load.next_hops and load.next_address:
        return [f"there is a next address, {load.next_address!r}, beside {len(load.next_hops)} next hops"]
    if len(load.next_hops) > _MAX_HOPS:
        return [f"there are {len(load.next_hops)} next hops: at most {_MAX_HOPS}"]
    planes = dict.fromkeys(hop.plane for hop in load.hops)
    return [
        *(fault for address in _addresses(load) for fault in _address_faults(address)),
        *(fault for plane in planes for fault in _plane_faults(plane)),
    ]


def _addresses(load: StageLoad) -> list[str]:
    return [hop.address for hop in load.hops] or [load.next_address]


def _paces(load: StageLoad) -> dict[str, float]:
    paces = {"pace_seconds": load.pace_seconds}
    if load.coding_pace:
        paces |= {name: getattr(load.coding_pace, name) for name in ("decode_seconds", "encode_seconds")}
    return paces


def _address_faults(address: str) -> list[str]:
    try:
        parse_address(address)
    except AgentConfigError as exc:
        return [str(exc)]
    return []


def _plane_faults(plane: str) -> list[str]:
    return [] if plane in ("", *PLANES) else [f"there is no data plane {plane!r}: want {' or '.join(PLANES)}"]


def _link_faults(link: LinkEmulation | None) -> list[str]:
    return list(faults_of(link)) if link else []


def _tensor_faults(specs: Iterable[TensorSpec]) -> list[str]:
    names = [spec.name for spec in specs]
    faults = [f"{name!r} is named twice" for name in sorted(set(names)) if names.count(name) > 1]
    return faults + [
        f"{spec.name!r} is of {spec.dtype!r}, which cannot travel" for spec in specs if spec.dtype not in DTYPES
    ]
