"""Shrinkage LDA on 3 x 3 means."""

_base_ = "lda.py"

classifier = dict(mean=3)
