"""How long a node keeps the stages of a deployment that nobody asks after. Pure: moments are given by the caller."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Lease:
    seconds: float
    renewed_at: float

    @property
    def ends_at(self) -> float:
        return self.renewed_at + self.seconds


class Leases:
    """One lease for each deployment that has any. Not thread-safe: its user calls it under a lock."""

    def __init__(self) -> None:
        self._leases: dict[str, _Lease] = {}

    def grant(self, deployment: str, seconds: float, now: float) -> None:
        """Begins the lease of a deployment anew, as long as its newest stage says; 0 seconds end it: it is kept."""
        if seconds > 0:
            self._leases[deployment] = _Lease(seconds, now)
        else:
            self._leases.pop(deployment, None)

    def renew(self, deployments: Iterable[str], now: float) -> None:
        """Begins leases anew; a deployment without one is no fault."""
        for name in deployments:
            if name in self._leases:
                self._leases[name] = _Lease(self._leases[name].seconds, now)

    def keep(self, deployments: Collection[str]) -> None:
        """Forgets all leases but those of `deployments`."""
        self._leases = {name: lease for name, lease in self._leases.items() if name in deployments}

    def expired(self, now: float) -> tuple[str, ...]:
        """Deployments whose lease is over."""
        return tuple(name for name, lease in self._leases.items() if lease.ends_at <= now)

    @property
    def next_end(self) -> float:
        """When the first lease will be over unless it is renewed; infinity without leases."""
        return min((lease.ends_at for lease in self._leases.values()), default=math.inf)
