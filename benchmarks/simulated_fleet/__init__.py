"""Thousands of devices in simulated time against the cloud server's own code."""
