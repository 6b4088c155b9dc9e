# A user's own scene: tools/train.py configs/m3amba.py --data scene.yaml
# The file names modalities and classes; the split has blocks with a guard of half a window.
_base_ = "windows.py"

source = dict(type="manifest", path="{{$M3AMBA_SCENE:scene.yaml}}")
split = dict(type="blocks", size=32, guard=8, seed=0)
window = 16
pretreatment = dict()  # by modality; modalities not listed are standardised
