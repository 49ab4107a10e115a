"""What programs say on a terminal: literal text, tables that fit, progress, one form of error and exit code."""
