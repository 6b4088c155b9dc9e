"""ConvNeXt on IDTReeS with what M3amba has around its network there: averaged weights, Posterior, expert."""

_base_ = "convnext_idtrees.py"

custom_hooks = [dict(type="EMAHook", momentum=0.02)]
model = dict(
    posterior=dict(
        type="Posterior",
        views=8,
        prior_power=0.5,
        smooth=1.5,
        expert=dict(type="DiscriminantExpert", mean=3, pretreatment=dict(hsi=_base_.pretreatment["hsi"][:3])),
    )
)
