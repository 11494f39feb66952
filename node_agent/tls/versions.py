"""Which versions of TLS gRPC speaks: Python has no setting for that, but its suites come from the environment."""

TLS_1_3_ONLY = ("GRPC_SSL_CIPHER_SUITES", "ECDHE-PSK-CHACHA20-POLY1305")
"""To be set before gRPC is imported: a suite that needs a secret shared before, which nobody has, so that TLS 1.2 finds
none that works. The suites of TLS 1.3 do not depend on this variable."""
