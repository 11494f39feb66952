"""Compilation by numba: the only module that imports it.

Compiled code is kept on disk, beside its source or where numba keeps it, so that only the first run waits.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """A function compiled at its first call, which holds no lock of the interpreter while it runs.

    Arguments must not be NaN, and zeros have no sign: so minima use the processor's vectors. Sums keep their order.
    """
    try:
        return _jit(function, is_kept=True)
    except RuntimeError:  # numba finds no folder that it may write to
        return _jit(function, is_kept=False)


def _jit(function: Function, *, is_kept: bool) -> Function:
    return cast("Function", njit(nogil=True, fastmath={"nnan", "nsz"}, cache=is_kept)(function))
