# Augsburg (HSI + SAR), official split: 761 training and 77,533 test pixels.
source = dict(type="augsburg")
split = dict(type="official")
modalities = ("hsi", "sar")
in_channels = dict(hsi=180, sar=4)
num_classes = 7
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
