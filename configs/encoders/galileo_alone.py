"""A linear head, shrinkage LDA, on Galileo's features alone (--data terramind_galileo)."""

_base_ = "../baselines/lda.py"

modalities = ["galileo"]
