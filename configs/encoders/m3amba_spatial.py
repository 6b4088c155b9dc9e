"""M3amba, size t, whose prior are Galileo's features of each pixel (--data terramind_galileo)."""

_base_ = "../m3amba.py"

model = dict(prior=dict(modality="galileo", kind="spatial"))
