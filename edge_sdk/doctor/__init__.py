"""What is wrong with a device, its camera, its model and its link: `edge-sdk doctor`."""
