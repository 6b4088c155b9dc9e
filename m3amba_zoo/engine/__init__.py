"""What MMEngine's Runner needs from us. Importing registers the parts; nothing of MMEngine's is replaced.

A config asks for each part by name (``configs/_base_/default_runtime.py`` for all of them). The hooks work
under any Runner; ``checks.check_parts`` says what else they need.

==========================  =============================================  ===================================
Part of ``ZooRunner``       How it differs from MMEngine's ``Runner``      Why
==========================  =============================================  ===================================
``load_checkpoint``,        Reads local files, running no code in them;    A stranger's file must do no harm;
``resume``                  weights must fit exactly, and come from the    a wrong fit or split would give
                            same split of the same data                    wrong scores silently
``save_checkpoint``         Writes aside, then renames                     A full disk must not cost a run
``dump_config``,            Writes the config once the checks before       A refused run or a test must not
``call_hook``               training have passed                           replace a training's config
``build_logger``            The terminal shows warnings only               The log file has everything
``get_hooks_info``          The log lists each hook once                   Not once for every stage
``register_default_hooks``  None drops any default hook                    MMEngine drops only its own
``setup_env``               ``scan_backend`` names the scan's backend      A run may need a certain one
``setup_env``,              Several processes may train on CPUs            MMEngine knows GPUs only
``wrap_model``
``wrap_model``,             ``freeze`` lists parameters not to train       A start from other weights may keep
``build_optim_wrapper``,                                                   some of them
``register_default_hooks``
``build_param_scheduler``   No warm-up where it would fill the training    One epoch is to train, too
``_maybe_compile``          ``compile`` compiles the network, not the      The step breaks the graph and would
                            whole step                                     be compiled anew every time
``train``, ``test``         Call hooks' ``after_stop(runner)``, also       A progress bar must give the
                            after an error; ``train`` closes the           terminal back, TensorBoard write
                            visualizer then                                what it holds back
==========================  =============================================  ===================================

``SafeCheckpointHook`` replaces ``CheckpointHook`` (plain values only; the older file goes last; a run resumes
what the same config began, or extends it; ``weights.json`` names the weights that are chosen), and
``AmpOptimWrapper`` replaces MMEngine's, which refuses CPUs. The other hooks are additions: ``DataCheckHook``,
``FitPreprocessorHook``, ``EpochSeedHook``, ``FiniteLossHook``, ``ProgressHook``, ``ReportHook``; so is
``MatrixDecayConstructor``, under which weight decay spares norms, biases and the scans' A and D. The options
of ``train`` add variants of MMEngine's parts: ``EarlyStopHook``, ``MLflowBackend`` and ``WandbBackend``.
"""

from m3amba_zoo.engine.checkpoint import SafeCheckpointHook, latest_checkpoint, load_final_weights
from m3amba_zoo.engine.checks import DataCheckHook, check_parts
from m3amba_zoo.engine.console import ProgressHook
from m3amba_zoo.engine.early_stop import EarlyStopHook
from m3amba_zoo.engine.report_hook import ReportHook
from m3amba_zoo.engine.runner import ZooRunner
from m3amba_zoo.engine.trackers import MLflowBackend, WandbBackend
from m3amba_zoo.engine.training import (
    AmpOptimWrapper,
    EpochSeedHook,
    FiniteLossHook,
    FitPreprocessorHook,
    MatrixDecayConstructor,
)

__all__ = [
    "AmpOptimWrapper",
    "DataCheckHook",
    "EarlyStopHook",
    "EpochSeedHook",
    "FiniteLossHook",
    "FitPreprocessorHook",
    "MLflowBackend",
    "MatrixDecayConstructor",
    "ProgressHook",
    "ReportHook",
    "SafeCheckpointHook",
    "WandbBackend",
    "ZooRunner",
    "check_parts",
    "latest_checkpoint",
    "load_final_weights",
]
