# AdamW. The learning rate rises over the first epoch, then falls to zero along a cosine, step by step.
# Weight matrices and kernels decay; norms, biases and the scans' A and D do not (MatrixDecayConstructor).
# Leaf configs set train_cfg.max_epochs, and the schedulers end with it.
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="MatrixDecayConstructor",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", begin=1, convert_to_iter_based=True),
]
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=20)
test_cfg = dict(type="TestLoop")
