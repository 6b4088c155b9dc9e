# IDTReeS with nine metrics of the LiDAR point cloud in place of the canopy height.
_base_ = "idtrees.py"

source = dict(lidar="metrics")
