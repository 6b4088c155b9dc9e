"""The plan that asks what a pretrained encoder is worth, to M3amba and to the others (docs/galileo.md)."""

_base_ = "leaderboard.py"  # seeds, the procedure of tuning, the search spaces

# With elevation the settings are those chosen without it.
# Features show more than windows do: test pixels' bands, never their labels, so that any number may leak.
terramind = dict(_base_.datasets.terramind, block=32)
plain = ["m3amba", "two_branch_cnn", "lda", "random_forest"]
with_features = dict(terramind, max_leaked_pixels=None)
datasets = dict(
    _delete_=True,
    terramind=dict(terramind, models=plain),
    terramind_dem=dict(terramind, models=plain, settings_of="terramind", title="TerraMind with elevation"),
    terramind_galileo=dict(
        with_features, title="TerraMind with Galileo's features of Sentinel-2 + Sentinel-1"
    ),
    terramind_dem_galileo=dict(
        with_features,
        settings_of="terramind_galileo",
        title="TerraMind with Galileo's features of Sentinel-2 + Sentinel-1 + elevation",
    ),
)

# Of m3amba and the baselines the features are one more input.
models = dict(
    _delete_=True,
    m3amba="m3amba.py",
    m3amba_spatial="encoders/m3amba_spatial.py",
    m3amba_global="encoders/m3amba_global.py",
    two_branch_cnn="baselines/two_branch_cnn.py",
    lda="baselines/lda.py",
    random_forest="baselines/random_forest.py",
    galileo_alone="encoders/galileo_alone.py",
)
tuning = dict(
    spaces=dict(
        m3amba_spatial=["network", "window", "m3amba"],
        m3amba_global=["network", "window", "m3amba"],
        galileo_alone=["pixel"],
    )
)

encoded = ["terramind_galileo", "terramind_dem_galileo"]
variants = dict(
    _delete_=True,
    random=dict(
        models=[*plain, "m3amba_spatial", "m3amba_global", "galileo_alone"],
        datasets=["terramind_galileo"],
        options=["source.encoder.weights=random"],
    ),
)
groups = dict(
    _delete_=True,
    main=dict(title="With and without the features of a pretrained encoder"),
    control=dict(
        title="The same encoder with random weights",
        note="With the setting that was tuned for the pretrained one.",
        variants=["random"],
        max_leaked_pixels=None,
    ),
)

goal = dict(_delete_=True, model="m3amba_spatial", datasets=encoded, margin=5.98)
papers = dict(_delete_=True)
