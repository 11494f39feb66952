"""The errors of `deploy`.

DeployError
└── PkiError (ValueError)   the cluster's authority cannot do, or refuses, what was asked
"""


class DeployError(Exception):
    """Base of all errors of this package."""


class PkiError(DeployError, ValueError):
    """The cluster's authority cannot do what was asked, or refuses it. Never holds a secret."""
