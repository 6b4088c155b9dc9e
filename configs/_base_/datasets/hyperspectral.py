# What scenes with a hyperspectral image share. By modality; modalities not listed are standardised.
_base_ = "windows.py"

pretreatments = dict(
    standardized=dict(),
    components=dict(hsi=[dict(type="Standardize"), dict(type="PCA", components=30)]),
)
pretreatment = "standardized"
