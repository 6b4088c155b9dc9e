"""How often a training survives what ends processes: kills as it writes, and signals at any time."""
