# Like adamw.py, but only weight matrices decay, and the weights are averaged over the last steps.
_base_ = "adamw.py"

optim_wrapper = dict(paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0))
custom_hooks = [dict(type="EMAHook", momentum=0.02)]  # the last 34 steps have half of the weight
