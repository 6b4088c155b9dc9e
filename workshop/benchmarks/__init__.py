"""What ``tools/benchmark.py`` measures: a section a module, each with ``measure()``."""
