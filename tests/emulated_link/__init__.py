"""A link laboratory: two network namespaces on this machine, joined by a link that a test spoils."""
