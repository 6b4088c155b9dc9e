# TerraMind tiles with elevation and Galileo's features of all three as a further modality (docs/galileo.md).
_base_ = "terramind_galileo.py"

source = dict(source=dict(modalities=("s2", "s1", "dem")))
modalities = ["s2", "s1", "dem", "galileo"]
