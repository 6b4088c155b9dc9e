# MSFMamba (arXiv 2408.14255): a third of the width, one module of three, to train on one CPU core.
model = dict(
    type="MSFMamba",
    patch=7,
    dim=32,
    depth=1,
    d_state=8,
    data_preprocessor=dict(type="RasterPreprocessor"),
)
