"""M3amba, size s, with CLIP on Trento (HSI + LiDAR), the standard split; never trained here.

It needs CLIP weights (m3amba encoder m3amba-s_trento) and 3 GB of memory: minutes on a consumer GPU, a night
on two CPU cores.
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/trento.py",
    "_base_/models/m3amba-s-clip.py",
    "_base_/schedules/adamw.py",
]
