"""An exported file beside the model in PyTorch."""

import numpy as np
import onnxruntime
import torch

SMALLEST_SHARE = 1e-4  # of the largest logit: what the two may differ by


def in_onnxruntime(file, windows):
    """Return posteriors and logits of windows; ``file`` is a path or bytes."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(["posteriors", "logits"], {m: x.numpy() for m, x in windows.items()})


@torch.no_grad()
def in_pytorch(model, windows):
    """Return logits of windows as a Predictor asks for them."""
    return torch.stack(model.eval().test_step({"inputs": dict(windows)})).numpy()


def with_missing_values(windows):
    """Return four windows for each one given: whole, and without a pixel, a band, and half of a modality."""
    found = {m: x.repeat(4, 1, 1, 1) for m, x in windows.items()}
    for x in found.values():
        x[1, :, 0, 1] = torch.nan
    first, *_, last = found.values()
    first[2, 0] = torch.nan
    last[3, :, : last.shape[2] // 2] = torch.nan
    return found


def check_parity(file, model, windows):
    """Compare a file with the model on windows ``(1, C, side, side)``, whole and with missing values."""
    given = with_missing_values(windows)
    expected = in_pytorch(model, given)
    posteriors, logits = in_onnxruntime(file, given)
    assert np.isfinite(expected).all()
    assert np.ptp(expected, axis=(0, 2, 3)).max() > 0, "the logits depend on the pixels"
    assert np.abs(logits - expected).max() <= SMALLEST_SHARE * np.abs(expected).max()
    np.testing.assert_allclose(posteriors, torch.from_numpy(expected).softmax(1), atol=1e-4)
    alone = in_onnxruntime(file, windows)[1]
    assert np.abs(alone - expected[:1]).max() <= SMALLEST_SHARE * np.abs(expected).max()
