"""Knows SSH and the operating system: takes a bare machine to a running agent, and back."""
