"""Colours that people with any colour vision tell apart, readable on white and on black.

Source: Paul Tol, "Colour Schemes", SRON/EPS/TN/09-002, the "bright" scheme.
"""

BLUE = "#4477AA"
CYAN = "#66CCEE"
GREEN = "#228833"
YELLOW = "#CCBB44"
RED = "#EE6677"
PURPLE = "#AA3377"
GREY = "#9A9A9A"
RAMP = ("#4477AA", "#6C5FA0", "#95468B", "#C04F7B", "#EE6677")
"""From blue over purple to red, for what has an order."""


def faded(colour: str, opacity: float = 0.4) -> str:
    """`#rrggbb` as plotly's translucent colour, which legends show too."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


PHASE_COLOURS = {"queue": GREY, "decode": CYAN, "compute": BLUE, "encode": YELLOW, "network": GREEN}
"""What a request is doing, in the order in which it does so at a stage."""
