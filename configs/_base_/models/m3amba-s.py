# M3amba, size s: slow on two CPU cores. Without CLIP, like size t.
model = dict(
    type="M3amba",
    embed_dim=96,
    adapter=dict(type="LinearAdapter"),
    neck=dict(type="CrossMamba", depth=4, d_state=16, drop_path=0.1),
    loss=dict(type="StreamLoss", cross_entropy=1.0, consistency=0.0),
    data_preprocessor=dict(type="RasterPreprocessor"),
)
