"""Plans for many network conditions at once."""
