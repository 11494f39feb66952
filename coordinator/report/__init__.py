"""Pages, figures and tables made of results."""
