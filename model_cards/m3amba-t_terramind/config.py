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
in_channels = dict(s1=2, s2=12)
load_from = None
log_processor = dict(window_size=20)
modalities = (
    's2',
    's1',
)
model = dict(
    adapter=dict(type='LinearAdapter'),
    data_preprocessor=dict(
        pretreatment=dict(s2=[
            dict(type='Standardize'),
            dict(components=12, type='PCA'),
        ]),
        type='RasterPreprocessor'),
    embed_dim=48,
    in_channels=dict(s1=2, s2=12),
    loss=dict(
        consistency=0.0, cross_entropy=1.0, streams=0.5, type='StreamLoss'),
    neck=dict(d_state=8, depth=1, drop_path=0.1, type='CrossMamba'),
    num_classes=7,
    posterior=dict(smooth=1.0, type='Posterior', views=8),
    type='M3amba',
    window=16)
num_classes = 7
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
pretreatment = dict(s2=[
    dict(type='Standardize'),
    dict(components=12, type='PCA'),
])
randomness = dict(seed=4)
runner_type = 'ZooRunner'
source = dict(
    modalities=(
        's2',
        's1',
    ), type='terramind')
split = dict(guard=8, seed=4, size=32, type='blocks')
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=16,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        modalities=(
            's2',
            's1',
        ),
        overlap=0.5,
        source=dict(modalities=(
            's2',
            's1',
        ), type='terramind'),
        split=dict(guard=8, seed=4, size=32, type='blocks'),
        type='SceneWindows',
        window=16),
    num_workers=0,
    sampler=dict(round_up=False, shuffle=False, type='DefaultSampler'))
test_evaluator = dict(type='SceneMetric')
train_cfg = dict(max_epochs=10, type='EpochBasedTrainLoop')
train_dataloader = dict(
    batch_size=16,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        augmentation=[
            dict(type='FlipRotate'),
        ],
        balanced=False,
        modalities=(
            's2',
            's1',
        ),
        source=dict(modalities=(
            's2',
            's1',
        ), type='terramind'),
        split=dict(guard=8, seed=4, size=32, type='blocks'),
        type='TrainWindows',
        window=16,
        windows_per_epoch=512),
    num_workers=0,
    sampler=dict(type='DrawSampler'))
window = 16
