"""What a device knows of its frames, in the formats of other programs: MegaDetector, Camtrap DP, COCO, CSV."""
