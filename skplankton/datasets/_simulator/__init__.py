"""Random numbers → simulated particles."""
