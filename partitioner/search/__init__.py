"""Search engines over splits, devices and windows, behind one call."""

from partitioner.search.building import build_problem
from partitioner.search.engines import search
from partitioner.search.problem import SearchProblem
from partitioner.search.registry import ENGINES
from partitioner.search.result import Certificate, SearchResult

__all__ = ["ENGINES", "Certificate", "SearchProblem", "SearchResult", "build_problem", "search"]
