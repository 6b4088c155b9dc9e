"""A model zoo for pixel classification of multi-modal remote-sensing imagery, around M3amba."""
