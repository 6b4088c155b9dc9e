"""The Mamba block and the scans of sequences."""

import pytest
import torch

from m3amba_zoo import ops
from m3amba_zoo.models.baselines.msfmamba import FusionBlock
from m3amba_zoo.models.baselines.sequences import BothWaysScan, Mamba, SequenceScan


def test_mamba_reads_the_past_alone():
    torch.manual_seed(0)
    mamba = Mamba(8, d_state=4).eval()
    x = torch.randn(2, 12, 8)
    changed = x.clone()
    changed[:, 7:] += 1
    before, after = mamba(x), mamba(changed)
    assert before.shape == x.shape
    torch.testing.assert_close(after[:, :7], before[:, :7])
    assert not torch.allclose(after[:, 7:], before[:, 7:])


def test_sequences_side_by_side_are_scanned_each_with_its_own_parameters():
    torch.manual_seed(0)
    scan = SequenceScan(inner=6, d_state=4, dt_rank=2, sequences=3)
    u = torch.randn(2, 3, 6, 9)
    together = scan(u)
    own = scan.own
    for k in range(3):
        dt, B, C = (own.x_proj[k] @ u[:, k]).split((2, 4, 4), dim=1)
        alone = ops.selective_scan(
            u[:, k], own.dt_weight[k] @ dt, own.A[k], B, C, own.D[k], own.dt_bias[k], backend="reference"
        )
        torch.testing.assert_close(together[:, k], alone, rtol=1e-4, atol=1e-5)


def test_a_scan_of_both_ways_sees_the_whole_sequence():
    torch.manual_seed(0)
    scan = BothWaysScan(inner=4, d_state=4, dt_rank=1)
    u = torch.randn(1, 4, 10)
    changed = u.clone()
    changed[..., 5] += 1
    assert ((scan(changed) - scan(u)).abs().amax(1) > 0).all()


@pytest.mark.parametrize("silent", [0, 1])
def test_fusion_takes_what_drives_a_scan_from_the_other_modality(silent):
    torch.manual_seed(0)
    block = FusionBlock(8, d_state=4).eval()
    maps = [torch.randn(1, 5, 5, 8) for _ in range(2)]
    with torch.no_grad():
        block.branches[silent].conv.weight.zero_()
        block.branches[silent].conv.bias.zero_()  # SiLU(0) = 0: this modality drives the other with B = C = 0
        outputs = block(*maps)
        other = block.branches[1 - silent]
        u, gate = other.enter(maps[1 - silent])
        skipped = u.permute(0, 2, 3, 1) * block.parameters_of[1 - silent].D.sum(0)
        torch.testing.assert_close(outputs[1 - silent], other.leave(maps[1 - silent], skipped, gate))
