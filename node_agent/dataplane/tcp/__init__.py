"""The data plane `tcp`: frames over plain sockets, without a copy that can be avoided."""
