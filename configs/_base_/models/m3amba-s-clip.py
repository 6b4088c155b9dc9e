# M3amba, size s, with the paper's adapter around a frozen CLIP: 2.7 M trained parameters for Houston 2013.
# Images of 128 pixels cost a third of the paper's 224; a window of 11 x 11 pixels has no more to show.
_base_ = "m3amba-s.py"

model = dict(
    adapter=dict(type="ClipAdapter", image_size=128),
    encoder=dict(type="ClipImageEncoder", name="ViT-B-32-quickgelu", weights="openai"),
)
