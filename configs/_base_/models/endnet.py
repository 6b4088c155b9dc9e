# EndNet (Hong et al. 2020) on single pixels, the paper's size.
model = dict(type="EndNet", patch=1, data_preprocessor=dict(type="RasterPreprocessor"))
