"""Evolutionary engines: NSGA-II and NSGA-III over splits."""
