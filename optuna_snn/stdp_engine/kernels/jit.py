"""How the kernels are compiled.

They release the interpreter's lock, use one thread, and round each operation as float32 does: no
`fastmath`, which would add up in other orders and join products with sums.
"""

from __future__ import annotations

import numba

__all__ = ["kernel", "part"]

kernel = numba.njit(cache=True, nogil=True, error_model="numpy")
"""For functions that Python calls: what is compiled is kept on disk."""

part = numba.njit(forceinline=True, nogil=True, error_model="numpy")
"""For functions that kernels call: they become part of these."""
