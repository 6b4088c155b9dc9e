# For patch-wise models: AdamW, warm-up and cosine as in adamw.py, 360 steps of 64 patches by default.
_base_ = "adamw.py"

train_cfg = dict(max_epochs=12)
