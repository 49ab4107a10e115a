"""The way to the cloud: the uplink, and the relay that charges every byte."""
