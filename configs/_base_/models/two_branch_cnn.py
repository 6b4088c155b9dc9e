# Two-branch CNN (Xu et al. 2018), half as wide as in the paper, for two CPU cores.
model = dict(type="TwoBranchCNN", patch=11, width=0.5, data_preprocessor=dict(type="RasterPreprocessor"))
