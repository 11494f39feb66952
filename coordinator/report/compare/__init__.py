"""Two sweeps, or two runs, side by side: what differs, and whether that may be chance."""
