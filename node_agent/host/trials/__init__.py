"""New shards are opened and run once in a limited process before the agent opens them itself.

`trials` decides and remembers (`record`); `helper_process` is the agent's end of the helper, a process with one thread
that forks a child for each trial (`helper`) and ends it when it takes too much; the child (`child`) gives up what it
does not need (`confinement`, `system_calls`), reads the graph with bounds (`wire_fields`, `graph_rules`), and only then
lets onnxruntime see it.
"""
