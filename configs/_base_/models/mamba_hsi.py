# MambaHSI (arXiv 2501.04944) on all modalities' bands side by side: half the width, two blocks of three, no
# pooling, to train on one CPU core with windows of 8 to 32 pixels.
model = dict(
    type="MambaHSI",
    embed_dim=32,
    depth=2,
    pooling=False,
    concatenate=True,
    data_preprocessor=dict(type="RasterPreprocessor"),
)
