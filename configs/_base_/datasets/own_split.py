# A user's own scene with the split beside it: tools/train.py configs/m3amba.py --data FOLDER, which
# `m3amba new scene` made. What FOLDER/config.py says of the data holds, too (modalities, window, pretreatment).
_base_ = "own_scene.py"

split = dict(_delete_=True, type="file", path="{{$M3AMBA_SPLIT:split.npz}}")
