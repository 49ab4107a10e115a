"""Looking through the camera: a page for whoever aims it, served by the device itself."""
