"""The plan of tools/leaderboard.py: models, datasets, seeds, and how settings are chosen."""

seeds = (0, 1, 2, 3, 4)

# windows of another size come in such a number that a training sees as many pixels in as many steps
LOADER, BATCH = "train_dataloader.dataset", "train_dataloader.batch_size"

# title: the heading on the page.
# test_sha256: the hash of the test part, drawn once, before anything was chosen.
# block: side in pixels of the blocks that significance draws; without it the groups of scenes that the split
# keeps together.
# search: dimensions of the search space that depend on the dataset (see tuning).
# settings_of: the dataset whose chosen settings are used. untuned: the configs' own settings are used.
# focus: a class whose F1 and IoU are shown. seeds: fewer than the plan's.
# val: how validation pixels are held out when tuning, for splits without them.
# max_leaked_pixels: how many test pixels training windows may show (default: 0). Official masks have no
# guard, so theirs is the number that the windows of the dataset's base config show.
datasets = dict(
    idtrees=dict(
        title="IDTReeS: HSI + LiDAR canopy height, 13 taxa, whole plots train or test",
        test_sha256="dd2f3c272d2045ebb3e0f24401a7fbbf6a42101fe31da4bb91851851c42f4c9a",
        search=dict(
            pixel=dict(
                steps=[
                    "pretreatment=standardized",
                    "pretreatment=components",
                    "pretreatment=log",
                    "pretreatment=log_components",
                    "pretreatment=discriminants",
                ]
            ),
            network=dict(  # 369 bands would take a network minutes more per run on two cores
                steps=[
                    "pretreatment=components",
                    "pretreatment=log_components",
                    "pretreatment=discriminants",
                    "pretreatment=shifted_discriminants",
                ]
            ),
            window=dict(side=["window=8", f"window=12 {LOADER}.windows_per_epoch=720 {BATCH}=24"]),
        ),
    ),
    idtrees_metrics=dict(
        title="IDTReeS with nine LiDAR metrics in place of one height; the settings of IDTReeS",
        test_sha256="dd2f3c272d2045ebb3e0f24401a7fbbf6a42101fe31da4bb91851851c42f4c9a",
        settings_of="idtrees",
    ),
    terramind=dict(
        title="TerraMind: Sentinel-2 + Sentinel-1, 7 classes, blocks of 32 pixels with a guard of 8",
        test_sha256="f5a0a835305a7287f22564d6bfd81ea3f180ac764f6e443d7ffe166db569498c",
        block=32,
        search=dict(
            pixel=dict(steps=["pretreatment=standardized", "pretreatment=components", "pretreatment=log"]),
            network=dict(
                steps=[
                    "pretreatment=standardized",
                    "pretreatment=components",
                    "pretreatment=shifted_components",
                    "pretreatment=log",
                ]
            ),
            window=dict(side=[f"window=8 {LOADER}.windows_per_epoch=2048 {BATCH}=64", "window=16"]),
        ),
    ),
    mmlsv2=dict(
        title="MMLSv2: optical + elevation + thermal, landslides on Mars, whole regions test",
        test_sha256="6d055ac55cedaca26939a81d45d5eb7943ccc96b3c1b733e8fe742c48d194e20",
        block=128,
        focus="landslide",
        search=dict(
            pixel=dict(steps=["pretreatment=standardized", "pretreatment=components"]),
            network=dict(
                steps=["pretreatment=standardized", "pretreatment=components", "pretreatment=shifted"]
            ),
            window=dict(side=[f"window=16 {LOADER}.windows_per_epoch=512 {BATCH}=16", "window=32"]),
        ),
    ),
    simulated_houston=dict(
        title="Simulated Houston-like scene: HSI + LiDAR, 15 classes, official-style masks (simulated)",
        block=16,
        untuned=True,
        seeds=(0,),
        max_leaked_pixels=33,
    ),
    simulated_augsburg=dict(
        title="Simulated Augsburg-like scene: HSI + SAR, 7 classes, official-style masks (simulated)",
        block=16,
        untuned=True,
        seeds=(0,),
    ),
    houston=dict(
        title="Houston 2013: HSI + LiDAR, 15 classes, the contest's official split",
        block=32,
        val=dict(fraction=0.3, guard=5),
        search=dict(
            pixel=dict(steps=["pretreatment=standardized", "pretreatment=components"]),
            network=dict(steps=["pretreatment=standardized", "pretreatment=components"]),
        ),
        max_leaked_pixels=1833,
    ),
    augsburg=dict(
        title="Augsburg: HSI + SAR, 7 classes, the official split",
        block=32,
        val=dict(fraction=0.3, guard=5),
        search=dict(
            pixel=dict(steps=["pretreatment=standardized", "pretreatment=components"]),
            network=dict(steps=["pretreatment=standardized", "pretreatment=components"]),
        ),
        max_leaked_pixels=10896,
    ),
)

# A recipe, which takes every dataset, or a config per dataset, if the name contains {dataset}.
models = dict(
    m3amba="m3amba.py",
    convnext="baselines/convnext.py",
    endnet="baselines/endnet.py",
    exvit="baselines/exvit.py",
    fusatnet="baselines/fusatnet.py",
    lda="baselines/lda.py",
    mamba_hsi="baselines/mamba_hsi.py",
    mft="baselines/mft.py",
    msfmamba="baselines/msfmamba.py",
    position="baselines/position.py",
    random_forest="baselines/random_forest.py",
    s2enet="baselines/s2enet.py",
    spectralformer="baselines/spectralformer.py",
    svm="baselines/svm.py",
    two_branch_cnn="baselines/two_branch_cnn.py",
)

# How settings are chosen, the same for every model: so many settings (the config as it is, and draws from its
# space) are scored on validation pixels, with these seeds. A space is a list of parts; a part has dimensions,
# a dimension its choices, a choice the options that it sets. Models that share a part try the same values.
tuning = dict(
    group="main",
    settings=6,
    seeds=(0, 1),
    parts=dict(
        network=dict(
            rate=[f"optim_wrapper.optimizer.lr={rate}" for rate in (3e-4, 1e-3, 3e-3)],
            classes=["train_dataloader.dataset.balanced=True", "train_dataloader.dataset.balanced=False"],
            # the weights averaged over the last steps, of which 34 have half of the weight
            averaging=["", "default_hooks.averaging.type=EMAHook default_hooks.averaging.momentum=0.02"],
        ),
        patch=dict(side=["model.patch=7", "model.patch=11"]),
        pixel=dict(
            mean=["classifier.mean=1", "classifier.mean=3", "classifier.mean=5"],
            classes=["classifier.balanced=False", "classifier.balanced=True"],
        ),
        m3amba=dict(
            depth=["model.neck.depth=1", "model.neck.depth=2"],
            width=["model.embed_dim=48", "model.embed_dim=64"],
            streams=["model.loss.streams=0.5", "model.loss.streams=1.0"],
        ),
        convnext=dict(drop=["model.backbone.drop_path_rate=0.0", "model.backbone.drop_path_rate=0.2"]),
        endnet=dict(reconstruction=["model.reconstruction=0.3", "model.reconstruction=1.0"]),
        exvit=dict(
            depth=["model.depth=1", "model.depth=2"], dropout=["model.dropout=0.1", "model.dropout=0.3"]
        ),
        fusatnet=dict(width=["model.width=0.0625", "model.width=0.125"]),
        mamba_hsi=dict(
            depth=["model.depth=1", "model.depth=2"], width=["model.embed_dim=32", "model.embed_dim=48"]
        ),
        mft=dict(
            depth=["model.depth=1", "model.depth=2"], dropout=["model.dropout=0.1", "model.dropout=0.3"]
        ),
        msfmamba=dict(width=["model.dim=32", "model.dim=48"]),
        spectralformer=dict(
            neighbours=["model.neighbours=1", "model.neighbours=3"],
            dropout=["model.dropout=0.1", "model.dropout=0.3"],
        ),
        two_branch_cnn=dict(
            width=["model.width=0.25", "model.width=0.5"], dropout=["model.dropout=0.3", "model.dropout=0.5"]
        ),
        random_forest=dict(leaf=["classifier.leaf=1", "classifier.leaf=4", "classifier.leaf=16"]),
        svm=dict(
            cost=[f"classifier.cost={cost}" for cost in (1, 10, 100, 1000)],
            gamma=[f"classifier.gamma={gamma}" for gamma in (0.03, 0.1, 0.3, 1)],
        ),
    ),
    spaces=dict(
        m3amba=["network", "window", "m3amba"],
        convnext=["network", "window", "convnext"],
        endnet=["network", "endnet"],
        exvit=["network", "patch", "exvit"],
        fusatnet=["network", "patch", "fusatnet"],
        lda=["pixel"],
        mamba_hsi=["network", "window", "mamba_hsi"],
        mft=["network", "patch", "mft"],
        msfmamba=["network", "patch", "msfmamba"],
        random_forest=["pixel", "random_forest"],
        s2enet=["network", "patch"],
        spectralformer=["network", "patch", "spectralformer"],
        svm=["pixel", "svm"],
        two_branch_cnn=["network", "patch", "two_branch_cnn"],
    ),
)

# Variants by name: their models, their datasets, and the options or the config that define them.
real = ["idtrees", "terramind", "mmlsv2"]
fusing = ["m3amba", "mft", "two_branch_cnn"]  # three ways of fusing: a scan, attention, concatenation
views = ["model.posterior.type=Posterior", "model.posterior.views=8"]
variants = dict(
    hsi=dict(models=fusing, datasets=["idtrees"], options=["modalities=hsi"]),
    lidar=dict(models=fusing, datasets=["idtrees", "idtrees_metrics"], options=["modalities=lidar"]),
    s1=dict(models=fusing, datasets=["terramind"], options=["modalities=s1"]),
    s2=dict(models=fusing, datasets=["terramind"], options=["modalities=s2"]),
    elevation=dict(models=["m3amba"], datasets=["terramind"], config="m3amba_{dataset}_dem.py"),
    opt=dict(models=["m3amba"], datasets=["mmlsv2"], options=["modalities=opt"]),
    dem=dict(models=["m3amba"], datasets=["mmlsv2"], options=["modalities=dem"]),
    therm=dict(models=["m3amba"], datasets=["mmlsv2"], options=["modalities=therm"]),
    # plain SS2D: the streams do not read the fused stream, which is their sum or their concatenation
    sum=dict(models=["m3amba"], datasets=real, options=["model.neck.fusion=sum"]),
    concat=dict(models=["m3amba"], datasets=real, options=["model.neck.fusion=concat"]),
    # the consistency term on unlabelled pixels (transductive)
    consistency=dict(models=["m3amba"], datasets=real, options=["model.loss.consistency=0.1"]),
    # what the logits of a window network can go through: eight views of the window, smoothing, an LDA
    views=dict(models=["m3amba", "convnext"], datasets=real, options=views),
    smooth=dict(models=["m3amba", "convnext"], datasets=real, options=[*views, "model.posterior.smooth=1.0"]),
    expert=dict(
        models=["m3amba", "convnext"],
        datasets=["idtrees"],
        options=[*views, "model.posterior.expert.type=DiscriminantExpert", "model.posterior.expert.mean=3"],
    ),
    # the paper's adapter with a small random image tower: the prior's path without the knowledge of CLIP
    prior=dict(
        models=["m3amba"],
        datasets=real,
        options=[
            "model.adapter.type=ClipAdapter",
            "model.encoder.type=ClipImageEncoder",
            "model.encoder.name=configs/_base_/models/small_image_tower.json",
            "model.encoder.weights=random",
        ],
    ),
)

# options: changes of each config. max_leaked_pixels: of all datasets in the group; None allows any number.
# datasets, seeds: fewer than the plan's. own_test_parts: each run draws its own.
groups = dict(
    main=dict(title="Splits that keep training and test apart"),
    ablation=dict(
        title="Ablations and single modalities",
        note="Variants of a model on the splits above, with the model's tuned setting.",
        variants=list(variants),
        seeds=(0, 1, 2),
    ),
    random=dict(
        title="Random split: how far leakage flatters",
        note=(
            "The same pixels and the same number of them by class and part, dealt out at random. These "
            "figures measure the leak, not the models: do not compare them with those above."
        ),
        options=["split.random.seed=0"],  # --seed replaces the 0
        datasets=["idtrees", "terramind"],
        seeds=(0,),
        max_leaked_pixels=None,
        own_test_parts=True,
    ),
)

# The page compares this model with the best other one; margin is the lead that the paper claims on real data.
# shown: the models in the block "results" of the readme (a path relative to this file) and their names there.
goal = dict(
    model="m3amba",
    datasets=("idtrees", "idtrees_metrics", "terramind", "mmlsv2"),
    margin=5.98,
    readme="../README.md",
    shown=dict(
        m3amba="**M3amba-t**",
        two_branch_cnn="two-branch CNN",
        mamba_hsi="MambaHSI",
        convnext="ConvNeXt (mmpretrain)",
        random_forest="random forest",
        mft="MFT",
        s2enet="S2ENet",
        msfmamba="MSFMamba",
        lda="shrinkage LDA",
        position="position alone (leak floor)",
    ),
)

# Published OA / AA / kappa in percent by dataset and model, and whether they are comparable with our rows.
test_epoch = "no: same split, but the released code keeps the best epoch on the test pixels"
papers = dict(
    houston=dict(
        m3amba=dict(
            says="97.31 / 97.32 / 97.11",
            comparable=(
                "no: the released log counts training pixels, up to 16 times each, and no test pixel; the "
                "paper's size has CLIP and 70.8 M parameters"
            ),
        ),
        mft=dict(says="89.80 / - / -", comparable=test_epoch),
        exvit=dict(says="90.62 / - / -", comparable=test_epoch),
        msfmamba=dict(says="92.86 / - / -", comparable=f"{test_epoch}; others' rerun: 90.93"),
    ),
    augsburg=dict(
        m3amba=dict(
            says="98.19 / 93.32 / 97.39",
            comparable="no: the released log holds 9.5 times the scene's labelled pixels, training ones too",
        ),
        mft=dict(says="90.49 / 60.36 / 86.26", comparable=test_epoch),
        msfmamba=dict(says="91.38 / 63.31 / 87.45", comparable=f"{test_epoch}; others' rerun: 68.93"),
    ),
)
