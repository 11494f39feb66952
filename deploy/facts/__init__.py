"""What a machine is like: shell commands, and pure parsers of what they say."""
