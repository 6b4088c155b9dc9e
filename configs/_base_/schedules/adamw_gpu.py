# Like adamw.py, for size b on a GPU of 24 GB: bfloat16, and two batches of 8 windows make one step of 16.
# Training takes 1.42 GiB a window in float32, where 16 at once do not fit but 8 do, and 0.86 GiB in bfloat16
# (measured on a CPU, docs/performance.md).
_base_ = "adamw.py"

optim_wrapper = dict(type="AmpOptimWrapper", dtype="bfloat16", accumulative_counts=2)
