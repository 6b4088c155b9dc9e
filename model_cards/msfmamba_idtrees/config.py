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
epochs = 10
experiment_name = 'msfmamba-idtrees'
load_from = None
log_processor = dict(window_size=20)
modalities = [
    'hsi',
    'lidar',
]
model = dict(
    d_state=8,
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
    depth=1,
    dim=32,
    in_channels=dict(hsi=369, lidar=1),
    modalities=[
        'hsi',
        'lidar',
    ],
    num_classes=13,
    patch=7,
    type='MSFMamba')
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
pretreatment = 'shifted_discriminants'
pretreatments = dict(
    components=dict(hsi=[
        dict(drop=[
            (
                0,
                0,
            ),
        ], type='SelectBands'),
        dict(type='Standardize'),
        dict(components=30, type='PCA'),
    ]),
    discriminants=dict(hsi=[
        dict(drop=[
            (
                0,
                0,
            ),
        ], type='SelectBands'),
        dict(floor=20.0, type='CenteredLog'),
        dict(type='Standardize'),
        dict(components=12, type='Discriminants'),
    ]),
    log=dict(hsi=[
        dict(drop=[
            (
                0,
                0,
            ),
        ], type='SelectBands'),
        dict(floor=20.0, type='CenteredLog'),
        dict(type='Standardize'),
    ]),
    log_components=dict(hsi=[
        dict(drop=[
            (
                0,
                0,
            ),
        ], type='SelectBands'),
        dict(floor=20.0, type='CenteredLog'),
        dict(type='Standardize'),
        dict(components=30, type='PCA'),
    ]),
    shifted_discriminants=dict(hsi=[
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
    standardized=dict(hsi=[
        dict(drop=[
            (
                0,
                0,
            ),
        ], type='SelectBands'),
        dict(type='Standardize'),
    ]))
randomness = dict(seed=2)
runner_type = 'ZooRunner'
source = dict(type='idtrees')
split = dict(
    distance=10.0,
    seed=3,
    train_fraction=0.65,
    type='by_scene',
    val=dict(fraction=0.25, guard=10, seed=2))
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=4,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        margin=3,
        modalities=[
            'hsi',
            'lidar',
        ],
        overlap=0.0,
        source=dict(type='idtrees'),
        split=dict(
            distance=10.0,
            seed=3,
            train_fraction=0.65,
            type='by_scene',
            val=dict(fraction=0.25, guard=10, seed=2)),
        type='SceneWindows',
        whole_scenes=False,
        window=20),
    num_workers=0,
    sampler=dict(round_up=False, shuffle=False, type='DefaultSampler'))
test_evaluator = dict(type='SceneMetric')
tile = 20
train_cfg = dict(max_epochs=12, type='EpochBasedTrainLoop')
train_dataloader = dict(
    batch_size=64,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        augmentation=[
            dict(type='FlipRotate'),
        ],
        balanced=False,
        modalities=[
            'hsi',
            'lidar',
        ],
        source=dict(type='idtrees'),
        split=dict(
            distance=10.0,
            seed=3,
            train_fraction=0.65,
            type='by_scene',
            val=dict(fraction=0.25, guard=10, seed=2)),
        type='TrainWindows',
        window=7,
        windows_per_epoch=1920),
    num_workers=0,
    sampler=dict(type='DrawSampler'))
window = 8
