"""From what a machine is like and what is wanted to steps, without touching anything."""
