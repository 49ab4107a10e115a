"""The tools of a workstation: train, export, calibrate. Only they import torch; the device never imports them."""
