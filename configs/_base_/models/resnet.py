# A ResNet-18 of mmpretrain (arXiv 1512.03385) with the stem for small images and a quarter of the width.
model = dict(
    type="BackboneClassifier",
    backbone=dict(
        type="mmpretrain.ResNet_CIFAR",
        depth=18,
        stem_channels=16,
        base_channels=16,
        out_indices=(0, 1, 2, 3),
    ),
    data_preprocessor=dict(type="RasterPreprocessor"),
)
