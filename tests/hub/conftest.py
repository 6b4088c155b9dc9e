from published import published  # noqa: F401
