"""M3amba, size t, whose prior is the mean of Galileo's features over the window, as the paper has CLIP's."""

_base_ = "m3amba_spatial.py"

model = dict(prior=dict(kind="global"))
