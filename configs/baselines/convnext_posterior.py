"""ConvNeXt with the averaged weights and the Posterior that M3amba uses on IDTReeS and TerraMind."""

_base_ = "convnext.py"

custom_hooks = [dict(type="EMAHook", momentum=0.02)]
model = dict(posterior=_base_.get("posterior"))
