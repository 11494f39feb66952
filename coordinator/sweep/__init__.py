"""Sweeps: many plans under many network conditions, in random order, taken up again where they were left."""
