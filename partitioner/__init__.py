"""Knows graphs and mathematics: models, cuts, costs, fronts. No sockets, no clocks but those that it is given."""
