"""What ``tools/benchmark.py`` measures: one module per section, each with a function ``measure()``."""
