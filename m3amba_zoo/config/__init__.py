"""Configs: read, changed by options, hashed."""
