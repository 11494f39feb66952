"""The exact engine: the whole front of latency and bottleneck."""
