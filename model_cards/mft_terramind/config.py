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
experiment_name = 'mft-terramind'
load_from = None
log_processor = dict(window_size=20)
modalities = [
    's2',
    's1',
]
model = dict(
    data_preprocessor=dict(type='RasterPreprocessor'),
    in_channels=dict(s1=2, s2=12),
    modalities=[
        's2',
        's1',
    ],
    num_classes=7,
    patch=11,
    type='MFT')
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
    components=dict(s2=[
        dict(type='Standardize'),
        dict(components=12, type='PCA'),
    ]),
    log=dict(s2=[
        dict(floor=20.0, type='CenteredLog'),
        dict(type='Standardize'),
    ]),
    shifted_components=dict(s2=[
        dict(type='Standardize'),
        dict(components=12, type='PCA'),
        dict(level=0.7, type='WindowShift'),
    ]),
    standardized=dict())
randomness = dict(seed=1)
runner_type = 'ZooRunner'
source = dict(
    modalities=(
        's2',
        's1',
    ), type='terramind')
split = dict(
    guard=8,
    seed=0,
    size=32,
    type='blocks',
    val=dict(fraction=0.25, guard=8, seed=1))
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=4,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        margin=5,
        modalities=[
            's2',
            's1',
        ],
        overlap=0.0,
        source=dict(modalities=(
            's2',
            's1',
        ), type='terramind'),
        split=dict(
            guard=8,
            seed=0,
            size=32,
            type='blocks',
            val=dict(fraction=0.25, guard=8, seed=1)),
        type='SceneWindows',
        whole_scenes=False,
        window=32),
    num_workers=0,
    sampler=dict(round_up=False, shuffle=False, type='DefaultSampler'))
test_evaluator = dict(type='SceneMetric')
train_cfg = dict(max_epochs=12, type='EpochBasedTrainLoop')
train_dataloader = dict(
    batch_size=64,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        augmentation=[
            dict(type='FlipRotate'),
        ],
        modalities=[
            's2',
            's1',
        ],
        source=dict(modalities=(
            's2',
            's1',
        ), type='terramind'),
        split=dict(
            guard=8,
            seed=0,
            size=32,
            type='blocks',
            val=dict(fraction=0.25, guard=8, seed=1)),
        type='TrainWindows',
        window=11,
        windows_per_epoch=1920),
    num_workers=0,
    sampler=dict(type='DrawSampler'))
window = 16
