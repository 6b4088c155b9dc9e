# Like adamw.py, for size b on a GPU of 24 GB: bfloat16, and two batches of 8 windows make one step of 16.
# A window takes 1.42 GiB in float32, so that 16 at once do not fit; 8 do, in float32 too.
_base_ = "adamw.py"

optim_wrapper = dict(type="AmpOptimWrapper", dtype="bfloat16", accumulative_counts=2)
