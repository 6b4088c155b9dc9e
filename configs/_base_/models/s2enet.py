# S2ENet (Fang et al. 2022), the paper's size.
model = dict(type="S2ENet", patch=11, data_preprocessor=dict(type="RasterPreprocessor"))
