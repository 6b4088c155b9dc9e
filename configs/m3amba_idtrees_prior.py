"""M3amba, size t, on IDTReeS, ablation: the paper's adapter, with the prior of a small random image tower."""

_base_ = "m3amba_idtrees.py"

# The prior's path through the network, not CLIP's knowledge: no CLIP weights were at hand.
model = dict(
    adapter=dict(_delete_=True, type="ClipAdapter"),
    encoder=dict(
        type="ClipImageEncoder",
        name="{{ fileDirname }}/_base_/models/small_image_tower.json",
        weights="random",
    ),
)
