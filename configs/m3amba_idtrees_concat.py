"""M3amba, size t, on IDTReeS, ablation: plain SS2D, and the streams side by side in place of their sum."""

_base_ = "m3amba_idtrees.py"

model = dict(neck=dict(fusion="concat"))
