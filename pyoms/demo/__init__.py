"""One trading session in a box: `pyoms demo`, made of real processes and a recorded day."""
