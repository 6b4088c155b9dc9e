# M3amba, size t: trains in minutes on two CPU cores. Without CLIP the fused stream starts from the tokens.
model = dict(
    type="M3amba",
    embed_dim=48,
    adapter=dict(type="LinearAdapter"),
    neck=dict(type="CrossMamba", depth=2, d_state=8, drop_path=0.1),
    loss=dict(type="StreamLoss", cross_entropy=1.0, consistency=0.0),
    data_preprocessor=dict(type="RasterPreprocessor"),
)
