# TerraMind tiles (real Sentinel-2 + Sentinel-1), blocks of 32 pixels with a guard of half a window.
_base_ = "windows.py"

source = dict(type="terramind", modalities=("s2", "s1"))
# The test part is the same for all seeds; --seed draws validation blocks from the rest.
split = dict(type="blocks", size=32, guard=8, seed=0, val=dict(fraction=0.25, guard=8, seed=0))
modalities = ["s2", "s1"]
window = 16
epochs = 10
# By modality; modalities not listed are standardised. tools/leaderboard.py --tune chooses for each model.
_components = [dict(type="Standardize"), dict(type="PCA", components=12)]
pretreatments = dict(
    standardized=dict(),
    components=dict(s2=_components),
    shifted_components=dict(s2=[*_components, dict(type="WindowShift", level=0.7)]),
    log=dict(s2=[dict(type="CenteredLog", floor=20.0), dict(type="Standardize")]),
)
pretreatment = "standardized"
del _components  # only a name here, not an entry of the config
