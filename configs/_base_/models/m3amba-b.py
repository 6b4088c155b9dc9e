# M3amba as in the paper (arXiv 2503.06446): 70.8 M parameters for Houston 2013, without the frozen CLIP.
# Never trained here. The paper does not give the weights of the two loss terms; we chose these. The
# consistency term reads unlabelled pixels, those of the test area too (transductive).
model = dict(
    type="M3amba",
    embed_dim=384,
    adapter=dict(type="ClipAdapter"),
    encoder=dict(type="ClipImageEncoder", name="ViT-B-32-quickgelu", weights="openai"),
    neck=dict(type="CrossMamba", depth=9, d_state=16, drop_path=0.1),
    loss=dict(type="StreamLoss", cross_entropy=1.0, consistency=0.1),
    data_preprocessor=dict(type="RasterPreprocessor"),
)
