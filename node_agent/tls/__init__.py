"""Certificates as a node sees them: whom they name, what that one may do, and when they are replaced. Standard library."""
