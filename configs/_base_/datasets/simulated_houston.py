# The embedded scene: simulated after Houston 2013; its test region differs from its training region.
source = dict(type="simulated", kind="houston-like", height=128, width=256, seed=0)
split = dict(type="official")
modalities = ("hsi", "lidar")
in_channels = dict(hsi=144, lidar=1)
num_classes = 15
window = 16

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type="DrawSampler"),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="TrainWindows",
        source=source,
        split=split,
        modalities=modalities,
        window=window,
        windows_per_epoch=512,
        augmentation=[dict(type="FlipRotate")],
    ),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="SceneWindows",
        source=source,
        split=split,
        modalities=modalities,
        window=window,
        overlap=0.5,
    ),
)
test_evaluator = dict(type="SceneMetric")
