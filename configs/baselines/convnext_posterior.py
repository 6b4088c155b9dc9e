"""ConvNeXt with what M3amba has around its network on IDTReeS and TerraMind: averaged weights, Posterior."""

_base_ = "convnext.py"

custom_hooks = [dict(type="EMAHook", momentum=0.02)]
model = dict(posterior=_base_.get("posterior"))
