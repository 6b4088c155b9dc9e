"""A process that imports the zoo uses MMEngine and mmpretrain as before."""

import os
import subprocess
import sys

PROGRAM = """
import http.server, importlib, logging, os, pkgutil, sys, threading
import mmengine.registry, mmpretrain, torch
from mmengine.fileio.backends import registry_utils
from mmengine.fileio.file_client import FileClient
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint

mine = logging.getLogger("mine")
mine.addHandler(logging.StreamHandler())
current = MMLogger.get_instance("theirs")
torch.save(mmpretrain.get_model("resnet18_8xb16_cifar10").state_dict(), "weights.pth")
pickled = dict(state_dict=torch.nn.Linear(1, 1).state_dict(), history=HistoryBuffer([1.0], [1]))
torch.save(pickled, "pickled.pth")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()

def use():
    url = f"http://127.0.0.1:{server.server_port}/weights.pth"
    model = mmpretrain.get_model("resnet18_8xb16_cifar10", pretrained=url)
    history = load_checkpoint(torch.nn.Linear(1, 1), "pickled.pth")["history"]
    sums = [value.sum().item() for value in model.state_dict().values()]
    return {"weights": sums, "history": type(history)}

def state():
    registries = [r for r in vars(mmengine.registry).values() if isinstance(r, mmengine.registry.Registry)]
    loggers = {name: log for name, log in names.items() if isinstance(log, logging.Logger)}
    return {
        "schemes": dict(CheckpointLoader._schemes),
        "backends": [dict(registry_utils.backends), dict(registry_utils.prefix_to_backends)],
        "clients": [dict(FileClient._backends), dict(FileClient._prefix_to_backends)],
        "registries": {id(r): dict(r.module_dict) for r in registries},
        "classes": [dict(vars(kind)) for kind in (Runner, CheckpointHook, CheckpointLoader, MMLogger)],
        "loggers": {
            name: (log.level, list(log.handlers), list(log.filters), log.propagate, log.disabled)
            for name, log in loggers.items()
        },
        "torch": (torch.get_default_dtype(), torch.get_num_threads(), torch.load, torch.save),
        "raised": logging.raiseExceptions,
    }

names = {"": logging.root, **logging.Logger.manager.loggerDict}
used, before = use(), state()
import m3amba_zoo
for module in pkgutil.walk_packages(m3amba_zoo.__path__, "m3amba_zoo."):
    importlib.import_module(module.name)
for part, was in before.items():
    assert state()[part] == was, (part, was, state()[part])
assert use() == used
assert used["history"] is HistoryBuffer
print("untouched")
"""


def test_importing_the_zoo_changes_nothing_for_others(tmp_path):
    environment = {
        **os.environ,
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",  # as before torch 2.6, where MMEngine unpickles
        "TORCH_HOME": str(tmp_path),
        "no_proxy": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("untouched\n")
