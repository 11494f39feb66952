"""Hosts for tests and for trying things out, on this machine: a system, an sshd and an address each."""
