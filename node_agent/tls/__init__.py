"""Certificates as a node sees them: whom they name, what that one may do, when they are replaced.

Reading and checking need the standard library only: a node has no `cryptography`.
"""
