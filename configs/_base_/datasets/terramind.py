# TerraMind tiles (real Sentinel-2 + Sentinel-1), blocks of 32 pixels with a guard of half a window.
source = dict(type="terramind", modalities=("s2", "s1"))
split = dict(type="blocks", size=32, guard=8, seed=0)
modalities = ("s2", "s1")
in_channels = dict(s2=12, s1=2)
num_classes = 7
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
