# MMLSv2 (real optical, elevation and thermal inertia), 531 tiles of Mars: landslide or not.
# Tiles touch, so whole regions of 4 x 4 tiles train, validate or test, with a tile between them and training:
# 53 test tiles in 6 regions for all seeds, and about 45 validation tiles that the seed draws from the rest.
# Every fourth row and column of a tile is scored, because pixels nearer than a kilometre are nearly copies.
_base_ = "windows.py"

_tile = 128 * 232.0  # m
source = dict(type="mmlsv2")
split = dict(
    type="by_scene",
    region=4 * _tile,
    guard=_tile,
    step=4,
    train_fraction=0.9,
    seed=0,
    val=dict(fraction=0.1, guard=16, step=4, seed=0),
)
modalities = ["opt", "dem", "therm"]
window = 32  # 7.4 km: a slide's scarp or a part of its deposit; 11 x 11 patches show 2.6 km
epochs = 10
# By modality; modalities not listed are standardised. tools/leaderboard.py --tune chooses for each model.
_shifted = [dict(type="Standardize"), dict(type="WindowShift", level=0.5)]
pretreatments = dict(
    standardized=dict(),
    components=dict(opt=[dict(type="Standardize"), dict(type="PCA", components=4)]),
    shifted=dict(opt=_shifted, dem=_shifted, therm=_shifted),  # elevation and light differ between regions
)
pretreatment = "standardized"
del _tile, _shifted  # only names here, not entries of the config

# 1,280 windows of 32 x 32 in 320 steps: about a minute or two on one core, as on the other datasets
train_dataloader = dict(batch_size=4, dataset=dict(windows_per_epoch=128))
# the maps of 400 training tiles would take most of a run's time
test_dataloader = dict(dataset=dict(whole_scenes=False))
