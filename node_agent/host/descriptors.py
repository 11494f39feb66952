"""How many files this process may have open: onnxruntime holds that of every weight open while it loads a shard."""

import resource

_N_OTHERS = 64
"""Of a process that loads one shard: standard streams, libraries, the model itself."""


def allow_many_files() -> None:
    """Raises the limit to what the system allows: a shell's usual 1024 is less than large models have weights."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def allow_only_files_of(n_weights: int) -> None:
    """Lowers the limit, for good, to what loading a shard of so many weights takes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_files = n_weights + _N_OTHERS
    wanted = n_files if most == resource.RLIM_INFINITY else min(n_files, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
