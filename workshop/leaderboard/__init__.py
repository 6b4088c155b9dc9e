"""Compares all models: reads the plan, runs what is missing, keeps the results and writes the page."""
