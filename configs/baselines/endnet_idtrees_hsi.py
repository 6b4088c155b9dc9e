"""EndNet on IDTReeS: HSI alone."""

_base_ = "endnet_idtrees.py"

modalities = ("hsi",)
in_channels = dict(_delete_=True, hsi=369)
train_dataloader = dict(dataset=dict(modalities=modalities))
test_dataloader = dict(dataset=dict(modalities=modalities))
model = dict(in_channels=dict(_delete_=True, hsi=369))
