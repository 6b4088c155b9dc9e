"""M3amba as in the paper (CLIP, 70.8 M parameters) on Houston 2013 (HSI + LiDAR); never trained here.

It needs a GPU of 24 GB and CLIP weights.

The paper's windows of 32 x 32 pixels show 6,247 of the 12,197 test pixels (51.2 %) in training, without
their labels (tools/split.py audit). The loss reads them: the consistency term compares the streams on all
pixels, so that runs are transductive; model.loss.consistency=0 takes it out.
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/houston.py",
    "_base_/models/m3amba-b.py",
    "_base_/schedules/adamw_gpu.py",
]

window = 32  # the paper's
train_dataloader = dict(batch_size=8)
test_dataloader = dict(batch_size=8)
