"""Search engines over splits, devices and windows, behind one call."""
