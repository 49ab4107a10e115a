"""Who may use the server, how often, and over which encryption."""
