"""Hostile input: what strangers may send to the cloud's port."""
