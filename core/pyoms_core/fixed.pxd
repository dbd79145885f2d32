# Fixed point for other Cython modules: a number of a caller becomes an int64 at 1e-9, or an error.
from libc.stdint cimport int64_t

# As `to_fixed`, and a float whose shortest text is exact besides. NumberError names `what`.
cdef int64_t fixed_of(object number, str what) except? -1
