# A recipe for classical classifiers of pixels, on any dataset (--data).
_base_ = ["default_runtime.py", "{{$M3AMBA_DATASET:datasets/simulated_houston.py}}"]
