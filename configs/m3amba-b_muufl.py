"""M3amba as in the paper (CLIP) on MUUFL Gulfport (HSI + LiDAR); never trained here.

It needs a GPU of 24 GB and CLIP weights.

The split's guard keeps test pixels out of the paper's windows of 32 x 32 pixels. The loss reads unlabelled
pixels: the consistency term compares the streams on all pixels, so that runs are transductive;
model.loss.consistency=0 takes it out.
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/muufl.py",
    "_base_/models/m3amba-b.py",
    "_base_/schedules/adamw_gpu.py",
]

window = 32  # the paper's
train_dataloader = dict(batch_size=8)
test_dataloader = dict(batch_size=8)
