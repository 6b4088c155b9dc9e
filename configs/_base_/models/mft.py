# MFT (arXiv 2203.16952), the paper's size.
model = dict(
    type="MFT",
    patch=11,
    data_preprocessor=dict(type="RasterPreprocessor"),
)
