"""M3amba, size t, on IDTReeS, ablation: the paper's adapter, its prior from a small random tower."""

_base_ = "m3amba_idtrees.py"

# The path of the prior through the network, without what CLIP knows: its weights were not at hand.
model = dict(
    adapter=dict(_delete_=True, type="ClipAdapter"),
    encoder=dict(
        type="ClipImageEncoder",
        name="configs/_base_/models/small_image_tower.json",
        weights="random",
    ),
)
