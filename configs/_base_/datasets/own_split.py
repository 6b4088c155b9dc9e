# A user's own scene with the split beside it: tools/train.py configs/m3amba.py --data FOLDER, a folder of
# `m3amba new scene`. What FOLDER/config.py says of modalities, window and pretreatment holds, too.
_base_ = "own_scene.py"

split = dict(_delete_=True, type="file", path="{{$M3AMBA_SPLIT:split.npz}}")
