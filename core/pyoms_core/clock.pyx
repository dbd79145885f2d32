"""A monotonic clock and a latency histogram for the hot path.

Called by benches, strategies and the demo, from any one thread at a time; `record_ns` needs no GIL.
What must stay true: a value lands in a bucket whose width is at most 1/128 of it, and nothing
allocates after construction. The calls into the kernel's clock go through the vDSO.
"""
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from pyoms_core.native cimport native_api, native_api_t

cdef extern from *:
    int __builtin_clzll(unsigned long long) noexcept nogil

cdef const native_api_t* api = native_api()
if api.probe(1) != 2:
    raise ImportError("pyoms_native answers a probe wrongly: build both again")


cdef int64_t now_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t> t.tv_sec * 1_000_000_000 + t.tv_nsec


def monotonic_ns():
    """Nanoseconds of CLOCK_MONOTONIC, as an int."""
    return now_ns()


def probe(uint64_t x):
    """``x + 1`` through the Rust core: the cheapest crossing of the border."""
    return api.probe(x)


cdef inline size_t bucket_of(uint64_t value) noexcept nogil:
    # Below 2**SUB_BITS one bucket a value; above, SUB buckets an octave:
    #   value 1xxxxxxx yyyy...  ->  octave (position of the 1) and the SUB_BITS bits x after it
    cdef int shift
    if value < SUB:
        return value
    shift = 63 - __builtin_clzll(value) - SUB_BITS
    return (<size_t> shift + 1) * SUB + <size_t> ((value >> shift) - SUB)


cdef inline uint64_t bucket_top(size_t bucket) noexcept nogil:
    cdef int shift
    if bucket < SUB:
        return bucket
    shift = <int> (bucket // SUB) - 1
    return ((<uint64_t> (SUB + bucket % SUB) + 1) << shift) - 1


cdef class Histogram:
    """Counts of latencies in nanoseconds, log-linear buckets of at most 1/128 relative width.

    Values run from 0 to 2**63 - 1; a negative one counts as 0. Fixed memory, no resize.
    """

    def __cinit__(self):
        self.clear()

    def clear(self):
        """Forget everything."""
        memset(self.counts, 0, sizeof(self.counts))
        self.total = 0
        self.largest = 0
        self.smallest = <uint64_t> -1

    cdef void record_ns(self, int64_t value) noexcept nogil:
        cdef uint64_t v = <uint64_t> value if value > 0 else 0
        self.counts[bucket_of(v)] += 1
        self.total += 1
        if v > self.largest:
            self.largest = v
        if v < self.smallest:
            self.smallest = v

    def record(self, int64_t value):
        """Count one value."""
        self.record_ns(value)

    def record_many(self, const int64_t[::1] values not None):
        """Count every value of a contiguous int64 array."""
        cdef Py_ssize_t i, count = values.shape[0]
        with nogil:
            for i in range(count):
                self.record_ns(values[i])

    def merge(self, Histogram other not None):
        """Add the counts of another histogram."""
        cdef size_t i
        if other.total == 0:
            return
        for i in range(BUCKETS):
            self.counts[i] += other.counts[i]
        self.total += other.total
        self.largest = max(self.largest, other.largest)
        self.smallest = min(self.smallest, other.smallest)

    def percentile(self, double percent):
        """Smallest bucket top with at least ``percent`` of all values at or below it.

        Never above :attr:`max_ns`; 0 for an empty histogram. A percent outside 0 to 100 (NaN too)
        raises ValueError.
        """
        cdef uint64_t seen = 0, wanted
        cdef size_t i
        if not 0.0 <= percent <= 100.0:
            raise ValueError(f"percent is {percent}, allowed are 0 to 100")
        if self.total == 0:
            return 0
        wanted = <uint64_t> (percent / 100.0 * <double> self.total + 0.999999)
        wanted = min(max(wanted, 1), self.total)
        for i in range(BUCKETS):
            seen += self.counts[i]
            if seen >= wanted:
                return min(bucket_top(i), self.largest)
        return self.largest

    def buckets(self):
        """Return ``[(top_ns, count), ...]`` of the buckets that hold something, in order."""
        return [(bucket_top(i), self.counts[i]) for i in range(BUCKETS) if self.counts[i]]

    @property
    def count(self):
        """How many values were recorded."""
        return self.total

    @property
    def max_ns(self):
        """Largest value, exact; 0 when empty."""
        return self.largest

    @property
    def min_ns(self):
        """Smallest value, exact; 0 when empty."""
        return self.smallest if self.total else 0
