# A user's own scene: tools/train.py configs/m3amba.py --data scene.yaml
# Its modalities and classes are those of the file; blocks with a guard of half a window train and test.
_base_ = "windows.py"

source = dict(type="manifest", path="{{$M3AMBA_SCENE:scene.yaml}}")
split = dict(type="blocks", size=32, guard=8, seed=0)
window = 16
pretreatment = dict()  # by modality; those left out are standardised
