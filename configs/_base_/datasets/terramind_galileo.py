# TerraMind tiles with Galileo's features of Sentinel-2 + Sentinel-1 as a further modality (docs/galileo.md).
_base_ = "terramind.py"

source = dict(
    _delete_=True,
    type="encoded",
    source=dict(type="terramind", modalities=("s2", "s1")),
    # the months of the tiles are not known: June stands for all
    encoder=dict(type="GalileoEncoder", weights="nano", patch=2, month=6),
    name="galileo",
    window=16,
    stride=8,
)
modalities = ["s2", "s1", "galileo"]
