"""What a run costs, against what arithmetic says."""

import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from m3amba_zoo.cli.train import main as train
from m3amba_zoo.evaluation import record
from m3amba_zoo.evaluation.record import count_flops, memory_mib, read_record
from m3amba_zoo.hub.resolve import CHECKOUT_CARDS
from m3amba_zoo.ops import selective_scan, selective_scan_2d

REPOSITORY = Path(__file__).parents[2]
STATM = Path("/proc/self/statm")
b, d, n, r, side = 2, 6, 4, 3, 5


def test_operations_of_a_layer_and_of_both_scans():
    assert count_flops(lambda: nn.Linear(7, 5)(torch.ones(3, 7))) == 2 * 3 * 7 * 5
    length = side * side
    sequence = torch.rand(b, d, length)
    states = torch.rand(b, 1, n, length)
    found = count_flops(lambda: selective_scan(sequence, sequence, -torch.rand(d, n), states, states))
    assert found == b * d * length * (7 * n + 3)
    place = (b, side, side)
    given = [torch.rand(*place, d), torch.rand(*place, 4, r), torch.rand(4, d, r), torch.rand(4, d)]
    given += [-torch.rand(4, d, n), torch.rand(*place, 4, n), torch.rand(*place, 4, n), torch.rand(4, d)]
    found = count_flops(lambda: selective_scan_2d(*given))
    assert found == 4 * b * length * d * (7 * n + 3 + 2 * r)


def test_operations_of_attention_in_one_step_are_those_of_its_products():
    tokens, heads, length = 7, 2, 4
    query, key = torch.rand(b, heads, 1, length), torch.rand(b, heads, tokens, length)
    found = count_flops(lambda: scaled_dot_product_attention(query, key, key))
    assert found == 2 * 2 * b * heads * 1 * tokens * length
    width = heads * length
    layer, x = nn.MultiheadAttention(width, heads, batch_first=True).eval(), torch.rand(b, tokens, width)
    found = count_flops(lambda: layer(x, x, x, need_weights=False))
    assert found == 2 * b * tokens * 4 * width**2 + 2 * 2 * b * tokens**2 * width
    assert torch.backends.mha.get_fastpath_enabled(), "as it was"


ENDNET = f"""
_base_ = {str(REPOSITORY / "configs/_base_/patch_recipe.py")!r}
source = dict(_delete_=True, type="tiny", scenes=2, width=20)
split = dict(_delete_=True, type="official")
modalities = ["hsi", "sar"]
model = dict(type="EndNet", patch=1)
tile = 5
train_dataloader = dict(batch_size=8, dataset=dict(windows_per_epoch=16))
test_dataloader = dict(batch_size=1)
train_cfg = dict(max_epochs=1)
report = False
"""


def test_operations_per_pixel_of_a_patch_network_are_those_of_a_patch(tmp_path):
    config = tmp_path / "endnet.py"
    config.write_text(ENDNET)
    train([str(config), "--work-dir", str(tmp_path / "run")])  # its tiles show few test pixels and many
    layers = [6 * 16, 2 * 16, *2 * (16 * 32, 32 * 64, 64 * 128), 256 * 128, 128 * 64, 64 * 3]
    assert read_record(tmp_path / "run" / "metrics.json")["model"]["flops_per_pixel"] == 2 * sum(layers)


def test_what_every_kind_of_model_has_written_is_read():
    kept = sorted(CHECKOUT_CARDS.glob("runs/main/idtrees/*/seed0.json"))
    records = {path.parent.name: read_record(path) for path in kept}
    assert len(records) > 5
    assert records["position"]["ece"] is None, "without probabilities"


@pytest.mark.skipif(not STATM.is_file(), reason="no /proc here")
def test_peak_memory_is_no_less_than_what_is_held():
    held = np.ones(2**25)  # 256 MiB
    resident = int(STATM.read_text().split()[1]) * resource.getpagesize() / 2**20
    assert memory_mib()["process"] + 1 > resident > held.nbytes / 2**20


def test_peak_memory_where_there_is_neither_proc_nor_resource(monkeypatch):
    monkeypatch.setattr(record, "PROCESS_STATUS", Path("nowhere"))
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    monkeypatch.setattr(
        record.psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=7))
    )
    assert record.peak_resident_bytes() == 7
