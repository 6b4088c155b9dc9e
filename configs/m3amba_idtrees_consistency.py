"""M3amba, size t, on IDTReeS, ablation: with the consistency term on unlabelled pixels (transductive)."""

_base_ = "m3amba_idtrees.py"

model = dict(loss=dict(consistency=0.1))
