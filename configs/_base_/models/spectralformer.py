# SpectralFormer (arXiv 2107.02988), patch-wise, the paper's size; it reads the first modality alone.
model = dict(
    type="SpectralFormer",
    patch=7,
    data_preprocessor=dict(type="RasterPreprocessor"),
)
