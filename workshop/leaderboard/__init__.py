"""The comparison of all models: which runs there are, running them, keeping their results, and the page."""
