"""Times that were measured before, by segment and device, so that nobody pays for them twice."""

from coordinator.profile_cache.entry import Entry
from coordinator.profile_cache.fingerprint import device_fingerprint
from coordinator.profile_cache.store import ProfileCache, default_cache_file

__all__ = ["Entry", "ProfileCache", "default_cache_file", "device_fingerprint"]
