"""A coordinator that measures nothing: claims what is left of the sweep, records it, and says so line by line."""

import sys

from result_builders import sample_run, sample_sweep

from coordinator.results.store import open_store

SWEEP = sample_sweep("raced", n_cases=6, n_repeats=10)
N_SAMPLES = 200


def write_all(url: str, owner: str, lease_seconds: float) -> None:
    with open_store(url) as store:
        store.add_sweep(SWEEP)
        keys = [case.key for case in SWEEP.cases]
        for key, repeat in SWEEP.order:
            if store.claim(SWEEP.name, key, repeat, owner=owner, lease_seconds=lease_seconds):
                store.record(sample_run(SWEEP, case=keys.index(key), repeat=repeat, n_samples=N_SAMPLES))
                sys.stdout.write(f"{key} {repeat}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    write_all(sys.argv[1], sys.argv[2], float(sys.argv[3]))
