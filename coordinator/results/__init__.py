"""What sweeps measured, kept: every case, every run of it, every sample."""
