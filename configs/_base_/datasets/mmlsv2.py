# MMLSv2 (real optical, elevation and thermal inertia), 531 tiles of Mars: landslide or not.
# Tiles touch, so whole regions of 4 x 4 tiles train, validate or test, with a tile between them and training.
# Every fourth row and column of a tile is scored: pixels nearer than a kilometre are nearly copies.
_base_ = "windows.py"

tile_side = 128 * 232.0  # m
source = dict(type="mmlsv2")
split = dict(
    type="by_scene",
    region=4 * tile_side,
    guard=tile_side,
    step=4,
    train_fraction=0.9,
    seed=0,
    val=dict(fraction=0.1, guard=16, step=4, seed=0),
)
del tile_side
modalities = ["opt", "dem", "therm"]
window = 32  # 7.4 km: the height of a slide's scarp and a part of its deposit
pretreatment = dict()

# the maps of 400 training tiles would take most of a run's time
test_dataloader = dict(dataset=dict(whole_scenes=False))
