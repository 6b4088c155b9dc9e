# Like adamw.py, and the weights are averaged over the last steps.
_base_ = "adamw.py"

custom_hooks = [dict(type="EMAHook", momentum=0.02)]  # the last 34 steps have half of the weight
