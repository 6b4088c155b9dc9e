"""M3amba, size t, on IDTReeS, ablation: with the consistency term, which reads unlabelled pixels (transductive)."""

_base_ = "m3amba_idtrees.py"

model = dict(loss=dict(consistency=0.1))
