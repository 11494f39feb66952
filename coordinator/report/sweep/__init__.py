"""The report of a sweep: page, pictures and tables, all drawn from the plain values of `series`."""

from coordinator.report.sweep.write import write_sweep_report

__all__ = ["write_sweep_report"]
