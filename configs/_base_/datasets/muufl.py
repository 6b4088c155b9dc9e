# MUUFL Gulfport (HSI + LiDAR). No official split exists: blocks of 32 pixels, 16 pixels of guard.
source = dict(type="muufl")
split = dict(type="blocks", size=32, guard=16, seed=0)
modalities = ("hsi", "lidar")
in_channels = dict(hsi=64, lidar=2)
num_classes = 11
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
