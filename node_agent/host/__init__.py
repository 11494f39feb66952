"""What a node does on its own machine: store, runtime, stages, profiler."""
