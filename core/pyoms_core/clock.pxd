# The clock and the histogram for other Cython modules; `record_ns` and `now_ns` need no GIL.
# One histogram belongs to one thread at a time.
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    SUB_BITS = 7
    SUB = 128
    BUCKETS = 7424  # SUB values below SUB, then 57 octaves of SUB buckets

cdef int64_t now_ns() noexcept nogil

cdef class Histogram:
    cdef uint64_t counts[BUCKETS]
    cdef uint64_t total
    cdef uint64_t largest
    cdef uint64_t smallest
    cdef void record_ns(self, int64_t value) noexcept nogil
