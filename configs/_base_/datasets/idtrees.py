# IDTReeS 2020 (real HSI + LiDAR canopy height), 85 plots of 20 x 20 m; whole plots train, validate or test.
# Windows have about the size of a crown; networks memorise windows of whole plots (docs/tuning.md).
_base_ = "windows.py"

source = dict(type="idtrees")
# The test part is the same for all seeds. Plots that share a crown or are nearer than 10 m are one group: 58
# groups, more than 70 m apart. Of the maker's seeds 0 to 11, 3 gives the classes the most even shares of the
# test part, which is all that was looked at. --seed draws groups for validation from the rest.
split = dict(
    type="by_scene",
    train_fraction=0.65,
    distance=10.0,
    seed=3,
    val=dict(fraction=0.25, guard=10, seed=0),
)
modalities = ["hsi", "lidar"]
window = 8
tile = 20  # a plot
epochs = 10
# By modality; modalities not listed are standardised. Chosen on validation plots (docs/tuning.md).
pretreatment = dict(
    hsi=[
        dict(type="SelectBands", drop=[(0, 0)]),  # 384 nm: zero in 19 plots, so it reveals the flight
        dict(type="CenteredLog", floor=20.0),
        dict(type="Standardize"),
        dict(type="Discriminants", components=12),
        dict(type="WindowShift", level=0.7),
    ]
)
# for M3amba and for the ConvNeXt compared with it
posterior = dict(
    type="Posterior",
    views=8,
    prior_power=0.5,
    smooth=1.5,
    # like the LDA baseline it reads the bands, not the discriminants (docs/tuning.md)
    expert=dict(type="DiscriminantExpert", mean=3, pretreatment=dict(hsi=pretreatment["hsi"][:3])),
)

train_dataloader = dict(
    batch_size=48,
    dataset=dict(windows_per_epoch=1440, balanced=False),  # classes at natural frequency (docs/tuning.md)
)
test_dataloader = dict(batch_size=48)
