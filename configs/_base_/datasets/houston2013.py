# Houston 2013 (HSI + LiDAR), the contest's official split: 2,832 training and 12,197 test pixels.
source = dict(type="houston2013")
split = dict(type="official")
modalities = ("hsi", "lidar")
in_channels = dict(hsi=144, lidar=1)
num_classes = 15
window = 32

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
