"""The profiling campaign: which spans are timed on which node, and what comes of it."""

from coordinator.profiling.effort import TOLERANCE, OnProgress, ProfileEffort, ignore_progress
from coordinator.profiling.fleet_profile import profile_fleet
from coordinator.profiling.merging import merge_profiles
from coordinator.profiling.node_profile import profile_node
from coordinator.profiling.power import with_measured_power
from coordinator.profiling.spans import Span, fit_spans, spans_to_profile, unmeasured_spans

__all__ = [
    "TOLERANCE",
    "OnProgress",
    "ProfileEffort",
    "Span",
    "fit_spans",
    "ignore_progress",
    "merge_profiles",
    "profile_fleet",
    "profile_node",
    "spans_to_profile",
    "unmeasured_spans",
    "with_measured_power",
]
