"""Knows one machine and its neighbours: stores shards, runs stages, times them. Light enough for a Raspberry Pi."""
