"""Shrinkage LDA on Galileo's features alone: the encoder with a linear head."""

_base_ = [
    "../_base_/default_runtime.py",
    "{{$M3AMBA_DATASET:../_base_/datasets/terramind_galileo.py}}",
]

modalities = ["galileo"]
classifier = dict(type="ShrinkageLDA")
