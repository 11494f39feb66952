"""Knows both: profiles a fleet, searches, deploys, streams, measures, reports."""
