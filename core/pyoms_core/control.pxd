# The kill switch for other Cython modules: `desk_mode` is one load and needs no GIL.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef class Control:
    cdef readonly str desk
    cdef object mapping
    cdef const unsigned char[::1] view
    cdef dict blocks
    cdef const uint64_t* desk_word

    # Kill mode of the whole desk, a code of `kill_mode`; anything unknown is to be taken for `halt`.
    cdef uint8_t desk_mode(self) noexcept nogil
    cdef const uint64_t* word(self, scope, uint32_t target_id) except NULL
