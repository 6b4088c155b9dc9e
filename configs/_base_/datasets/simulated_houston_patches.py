# For patch-wise models: patches of single pixels train, test pixels alone are predicted.
# A leaf config adds the patch as the training window and the margin of the test windows.
_base_ = "simulated_houston.py"

train_dataloader = dict(batch_size=64, dataset=dict(windows_per_epoch=1920))
test_dataloader = dict(batch_size=4, dataset=dict(window=32, overlap=0.0, whole_scenes=False))
