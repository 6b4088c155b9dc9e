"""ConvNeXt on TerraMind with what M3amba has around its network there: averaged weights, Posterior."""

_base_ = "convnext_terramind.py"

custom_hooks = [dict(type="EMAHook", momentum=0.02)]
model = dict(posterior=dict(type="Posterior", views=8, smooth=1.0))
