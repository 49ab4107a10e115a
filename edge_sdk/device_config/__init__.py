"""One file for everything a device is told: read, checked with line numbers, shown, and made into its parts."""
