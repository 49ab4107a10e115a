"""What the server tells over HTTP: metrics and health, for those who operate it."""
