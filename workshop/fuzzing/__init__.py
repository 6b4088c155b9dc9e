"""Readers are given damaged and hostile files: each is read, or refused in one sentence with its name."""
