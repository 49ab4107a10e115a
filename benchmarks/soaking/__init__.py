"""The parts of the soak: device programs, server, link, faults."""
