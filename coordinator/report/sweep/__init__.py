"""The report of a sweep: page, pictures and tables, all drawn from the plain values of `series`."""
