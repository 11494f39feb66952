"""How tensors move between nodes."""
