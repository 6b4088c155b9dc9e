# IDTReeS 2020 (real HSI + LiDAR canopy height), 85 plots of 20 x 20 m; whole plots train or test.
# Windows about the size of a crown: whole plots as windows are learnt by heart (docs/tuning.md).
_base_ = "windows.py"

source = dict(type="idtrees")
split = dict(type="by_scene", train_fraction=0.6, seed=0)
modalities = ["hsi", "lidar"]
window = 8
tile = 20  # a plot
epochs = 10
# By modality; those left out are standardised. Chosen on validation plots (docs/tuning.md).
pretreatment = dict(
    hsi=[
        dict(type="SelectBands", drop=[(0, 0)]),  # 384 nm: zero in 19 plots, it tells the flight
        dict(type="CenteredLog", floor=20.0),
        dict(type="Standardize"),
        dict(type="Discriminants", components=12),
        dict(type="WindowShift", level=0.7),
    ]
)
# of M3amba and of the ConvNeXt that is compared with it
posterior = dict(
    type="Posterior",
    views=8,
    prior_power=0.5,
    smooth=1.5,
    # as the LDA of the baselines it reads the bands, not the discriminants (docs/tuning.md)
    expert=dict(type="DiscriminantExpert", mean=3, pretreatment=dict(hsi=pretreatment["hsi"][:3])),
)

train_dataloader = dict(
    batch_size=48,
    dataset=dict(windows_per_epoch=1440, balanced=False),  # classes as often as they come (docs/tuning.md)
)
test_dataloader = dict(batch_size=48)
