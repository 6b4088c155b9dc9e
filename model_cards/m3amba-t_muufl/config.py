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
log_processor = dict(window_size=20)
modalities = [
    'hsi',
    'lidar',
]
model = dict(
    adapter=dict(type='LinearAdapter'),
    data_preprocessor=dict(type='RasterPreprocessor'),
    embed_dim=48,
    in_channels=dict(hsi=64, lidar=2),
    loss=dict(consistency=0.0, cross_entropy=1.0, type='StreamLoss'),
    modalities=[
        'hsi',
        'lidar',
    ],
    neck=dict(d_state=8, depth=2, drop_path=0.1, type='CrossMamba'),
    num_classes=11,
    type='M3amba',
    window=32)
optim_wrapper = dict(
    clip_grad=dict(max_norm=1.0),
    constructor='MatrixDecayConstructor',
    optimizer=dict(lr=0.001, type='AdamW', weight_decay=0.05),
    type='OptimWrapper')
param_scheduler = [
    dict(
        convert_to_iter_based=True, end=1, start_factor=0.01, type='LinearLR'),
    dict(begin=1, convert_to_iter_based=True, type='CosineAnnealingLR'),
]
pretreatment = 'standardized'
pretreatments = dict(
    components=dict(hsi=[
        dict(type='Standardize'),
        dict(components=30, type='PCA'),
    ]),
    standardized=dict())
randomness = dict(seed=0)
runner_type = 'ZooRunner'
source = dict(type='muufl')
split = dict(guard=16, seed=0, size=32, type='blocks')
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=16,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        modalities=[
            'hsi',
            'lidar',
        ],
        overlap=0.5,
        source=dict(type='muufl'),
        split=dict(guard=16, seed=0, size=32, type='blocks'),
        type='SceneWindows',
        window=32),
    num_workers=0,
    sampler=dict(round_up=False, shuffle=False, type='DefaultSampler'))
test_evaluator = dict(type='SceneMetric')
train_cfg = dict(max_epochs=20, type='EpochBasedTrainLoop')
train_dataloader = dict(
    batch_size=16,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        augmentation=[
            dict(type='FlipRotate'),
        ],
        modalities=[
            'hsi',
            'lidar',
        ],
        source=dict(type='muufl'),
        split=dict(guard=16, seed=0, size=32, type='blocks'),
        type='TrainWindows',
        window=32,
        windows_per_epoch=512),
    num_workers=0,
    sampler=dict(type='DrawSampler'))
window = 32
