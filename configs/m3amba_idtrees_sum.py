"""M3amba, size t, on IDTReeS, ablation: streams of plain SS2D that never read the fused stream."""

_base_ = "m3amba_idtrees.py"

model = dict(neck=dict(fusion="sum"))
