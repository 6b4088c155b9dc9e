"""M3amba as in the paper (CLIP) on Augsburg (HSI + SAR); never trained here.

It needs a GPU of 24 GB and CLIP weights.

The paper's windows of 32 x 32 pixels show 42,593 of the 77,533 test pixels (54.9 %) in training, without
their labels (tools/split.py audit). The loss reads them: the consistency term compares the streams on all
pixels, so that runs are transductive; model.loss.consistency=0 takes it out.
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/augsburg.py",
    "_base_/models/m3amba-b.py",
    "_base_/schedules/adamw_gpu.py",
]

window = 32  # the paper's
train_dataloader = dict(batch_size=8)
test_dataloader = dict(batch_size=8)
