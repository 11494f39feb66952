"""Knows SSH and the operating system."""
