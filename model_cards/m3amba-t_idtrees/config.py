custom_hooks = [
    dict(momentum=0.02, type='EMAHook'),
]
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=1, type='SafeCheckpointHook'),
    data_check=dict(type='DataCheckHook'),
    epoch_seed=dict(type='EpochSeedHook'),
    finite_loss=dict(type='FiniteLossHook'),
    logger=dict(interval=10, type='LoggerHook'),
    preprocessor=dict(type='FitPreprocessorHook'),
    progress=dict(type='ProgressHook'),
    report=dict(type='ReportHook'))
default_scope = 'm3amba_zoo'
in_channels = dict(hsi=369, lidar=1)
load_from = None
log_processor = dict(window_size=20)
modalities = (
    'hsi',
    'lidar',
)
model = dict(
    adapter=dict(type='LinearAdapter'),
    data_preprocessor=dict(
        pretreatment=dict(hsi=[
            dict(drop=[
                (
                    0,
                    0,
                ),
            ], type='SelectBands'),
            dict(floor=20.0, type='CenteredLog'),
            dict(type='Standardize'),
            dict(components=12, type='Discriminants'),
            dict(level=0.7, type='WindowShift'),
        ]),
        type='RasterPreprocessor'),
    embed_dim=48,
    in_channels=dict(hsi=369, lidar=1),
    loss=dict(
        consistency=0.0, cross_entropy=1.0, streams=0.5, type='StreamLoss'),
    neck=dict(d_state=8, depth=1, drop_path=0.1, type='CrossMamba'),
    num_classes=13,
    posterior=dict(
        expert=dict(
            mean=3,
            pretreatment=dict(hsi=[
                dict(drop=[
                    (
                        0,
                        0,
                    ),
                ], type='SelectBands'),
                dict(floor=20.0, type='CenteredLog'),
                dict(type='Standardize'),
            ]),
            type='DiscriminantExpert'),
        prior_power=0.5,
        smooth=1.5,
        type='Posterior',
        views=8),
    type='M3amba',
    window=8)
num_classes = 13
optim_wrapper = dict(
    clip_grad=dict(max_norm=1.0),
    optimizer=dict(lr=0.003, type='AdamW', weight_decay=0.05),
    paramwise_cfg=dict(
        bias_decay_mult=0.0, flat_decay_mult=0.0, norm_decay_mult=0.0),
    type='OptimWrapper')
param_scheduler = [
    dict(
        convert_to_iter_based=True, end=1, start_factor=0.01, type='LinearLR'),
    dict(begin=1, convert_to_iter_based=True, type='CosineAnnealingLR'),
]
pretreatment = dict(hsi=[
    dict(drop=[
        (
            0,
            0,
        ),
    ], type='SelectBands'),
    dict(floor=20.0, type='CenteredLog'),
    dict(type='Standardize'),
    dict(components=12, type='Discriminants'),
    dict(level=0.7, type='WindowShift'),
])
randomness = dict(seed=4)
runner_type = 'ZooRunner'
source = dict(type='idtrees')
split = dict(seed=4, train_fraction=0.6, type='by_scene')
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=48,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        modalities=(
            'hsi',
            'lidar',
        ),
        overlap=0.5,
        source=dict(type='idtrees'),
        split=dict(seed=4, train_fraction=0.6, type='by_scene'),
        type='SceneWindows',
        window=8),
    num_workers=0,
    sampler=dict(round_up=False, shuffle=False, type='DefaultSampler'))
test_evaluator = dict(type='SceneMetric')
train_cfg = dict(max_epochs=7, type='EpochBasedTrainLoop')
train_dataloader = dict(
    batch_size=48,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        augmentation=[
            dict(type='FlipRotate'),
        ],
        balanced=False,
        modalities=(
            'hsi',
            'lidar',
        ),
        source=dict(type='idtrees'),
        split=dict(seed=4, train_fraction=0.6, type='by_scene'),
        type='TrainWindows',
        window=8,
        windows_per_epoch=1440),
    num_workers=0,
    sampler=dict(type='DrawSampler'))
window = 8
