"""The lane's kernels in the part of Python that numba compiles; imported by the compiler alone."""
