"""The workshop's commands, one module each; ``tools/*.py`` call them."""
