# Draws windows for training and tiles scenes for evaluation; the other files here name source and split.
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type="DrawSampler"),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="TrainWindows", windows_per_epoch=512, augmentation=[dict(type="FlipRotate")]),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="SceneWindows", overlap=0.5),
)
test_evaluator = dict(type="SceneMetric")
