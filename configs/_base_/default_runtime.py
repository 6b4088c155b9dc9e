default_scope = "m3amba_zoo"
runner_type = "ZooRunner"
randomness = dict(seed=0)
log_processor = dict(window_size=20)
# Hooks of every run, by name. A leaf config changes one by default_hooks = dict(checkpoint=dict(interval=5)),
# removes one with None, and adds its own (such as an EMAHook) in custom_hooks.
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=10),
    checkpoint=dict(type="SafeCheckpointHook", interval=1, max_keep_ckpts=1),
    data_check=dict(type="DataCheckHook"),
    preprocessor=dict(type="FitPreprocessorHook"),
    epoch_seed=dict(type="EpochSeedHook"),
    finite_loss=dict(type="FiniteLossHook"),
    progress=dict(type="ProgressHook"),
    report=dict(type="ReportHook"),
)
