"""The servers that `benchmarks/serving.py` compares ours with; each is run in an environment that has it."""
